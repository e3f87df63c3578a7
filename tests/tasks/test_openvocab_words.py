"""Words by row: vocabularies, prompts, names shuffled within base and novel classes, and nonsense."""

from __future__ import annotations

from veritrain.tasks.openvocab_words import Words, nonsense

WORDS = Words(base=("ship", "storagetank", "dam"), novel=("windmill", "airport"))


def test_base_classes_come_first_and_keep_their_row():
    assert [WORDS.vocabulary.names[row] for row in WORDS.rows("all")] == list(WORDS.names)
    assert WORDS.rows("base") == (0, 1, 2) and WORDS.rows("novel") == (3, 4)


def test_prompts_are_said_in_words_and_bare_ones_as_they_stand():
    assert WORDS.vocabulary.prompts("storagetank")[0] == "a satellite photo of storage tank"
    assert Words(base=("dam",), novel=("windmill",), bare=True).vocabulary.prompts("dam") == ("dam",)


def test_shuffled_no_class_keeps_its_name_and_parts_stay_apart():
    for seed in range(20):
        rows = WORDS.shuffled_rows(seed)
        assert sorted(rows[:3]) == [0, 1, 2] and sorted(rows[3:]) == [3, 4]
        assert all(row != place for place, row in enumerate(rows))
    assert len({WORDS.shuffled_rows(seed) for seed in range(20)}) > 1


def test_a_single_novel_class_takes_the_name_of_a_base_one():
    words = Words(base=("ship", "dam"), novel=("windmill",))
    assert words.shuffled_rows(0)[2] in (0, 1)


def test_nonsense_is_distinct_and_no_class_name():
    names = [WORDS.vocabulary.names[row] for row in WORDS.nonsense_rows()]
    assert len(set(names)) == 5 and not set(names) & set(WORDS.names)
    assert len(set(nonsense(1000))) == 1000 and nonsense(1000)[:5] == nonsense(5)
