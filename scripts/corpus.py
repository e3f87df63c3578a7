"""Audit every labelled artefact of the corpus beside the repository and count the verdicts by label."""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from pathlib import Path

from veritrain.audit.verdict import judge
from veritrain.errors import VeritrainError
from veritrain.readers.recognise import read_artefact

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "corpus"


def verdict_of(path: Path) -> tuple[str, str]:
    """The verdict of a file and its sentence; "unread" with the reason when no reader takes it."""
    try:
        verdict = judge(read_artefact(path))
    except VeritrainError as error:
        return "unread", error.message
    return verdict.word, verdict.sentence


def outcome(word: str, expected: str) -> str:
    if word == "unread":
        return "unread"
    return "ok" if word in expected.split("|") else "WRONG"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=BESIDE)
    parser.add_argument("--sentences", action="store_true", help="print the sentence of each verdict")
    options = parser.parse_args()
    if not options.corpus.is_dir():
        print(f"no corpus at {options.corpus}")
        return 0
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    wrong = 0
    with (options.corpus / "index.csv").open(encoding="utf-8", newline="") as file:
        for entry in csv.DictReader(file):
            word, sentence = verdict_of(options.corpus / entry["file"])
            result = outcome(word, entry["expected"])
            wrong += result == "WRONG"
            counts[entry["label"]][word] += 1
            print(f"{Path(entry['file']).name[:52]:52} {entry['label']:12} {word:10} {entry['expected']:18} {result}")
            if options.sentences:
                print(f"    {sentence}")
    print()
    words = ("plausible", "not_shown", "refuted", "unread")
    print(f"{'label':14}" + "".join(f"{word:>11}" for word in words))
    for label, row in sorted(counts.items()):
        print(f"{label:14}" + "".join(f"{row[word]:11}" for word in words))
    print(f"outside the expected set: {wrong}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
