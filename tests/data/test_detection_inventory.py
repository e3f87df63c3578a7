"""Errors of parts of annotation files."""

from __future__ import annotations

import pickle

from veritrain.data.detection_inventory import AnnotationError


def test_the_element_opens_the_message_and_stands_apart_in_the_list():
    error = AnnotationError("no area", name="zero_area", element="object 3", file="a.xml", line=7, found="2 x 0")
    assert str(error).splitlines()[0] == "a.xml:7: object 3: no area" and error.exit_code == 65
    problem = error.as_problem(left_out=True)
    assert (problem.name, problem.file, problem.line, problem.element) == ("zero_area", "a.xml", 7, "object 3")
    assert problem.reason == "no area (found 2 x 0)" and problem.left_out


def test_without_element():
    problem = AnnotationError("gone", name="image_missing", file="a.jpg").as_problem(left_out=False)
    assert problem.reason == "gone" and problem.element == "" and problem.line is None


def test_it_comes_whole_from_another_process():
    error = AnnotationError("no area", name="zero_area", element="object 3", file="a.xml", line=7, fix="mend it")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.as_problem(left_out=True) == error.as_problem(left_out=True)
