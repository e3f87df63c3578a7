"""DIOR's twenty names, and the spellings that are mapped to them."""

from __future__ import annotations

from veritrain.data.dior_names import DIOR_CLASSES, NUMBER_OF_NAME, OTHER_SPELLINGS, class_number


def test_the_names_are_those_of_the_released_files():
    verbatim = (
        "airplane airport baseballfield basketballcourt bridge chimney dam Expressway-Service-area "
        "Expressway-toll-station golffield groundtrackfield harbor overpass ship stadium storagetank tenniscourt "
        "trainstation vehicle windmill"
    )
    assert " ".join(DIOR_CLASSES) == verbatim and len(set(DIOR_CLASSES)) == 20


def test_every_spelling_belongs_to_one_class():
    spellings = [word for name, those in OTHER_SPELLINGS.items() for word in (name, *those)]
    assert len(spellings) == len(set(spellings)) == len(NUMBER_OF_NAME)
    assert set(OTHER_SPELLINGS) == set(DIOR_CLASSES)


def test_the_known_traps_are_mapped():
    traps = {"golf course": "golffield", "wind mill": "windmill", "Expressway Service Area": "Expressway-Service-area",
             "expressway toll station": "Expressway-toll-station", "goldfield": "golffield"}  # fmt: skip
    for word, name in traps.items():
        number = class_number(word)
        assert number is not None and DIOR_CLASSES[number] == name


def test_nothing_is_mapped_by_likeness():
    for word in ("", "ships", "SHIP", "golf", "vehicles", " ship", "plane"):
        assert class_number(word) is None


def test_lower_case_with_spaces_is_known_of_every_class():
    """Code that lower-cases names and breaks them into words reads the same class."""
    words = ("airplane", "baseball field", "expressway service area", "ground track field", "tennis court")
    assert all(class_number(word) is not None for word in words)
    assert all(class_number(name.lower()) == number for number, name in enumerate(DIOR_CLASSES))
