"""Options of balancing: what is impossible is refused, and so is what the chosen balancer would not read."""

from __future__ import annotations

from typing import get_args

import pytest

from veritrain import catalog
from veritrain.errors import ConfigError
from veritrain.losses.options import READ_BY, Balance, BalanceOptions

SET = {
    "weights": {"a": 2.0},
    "alpha": 0.5,
    "weight_rate": 0.1,
    "weight_optimiser": "sgd",
    "initial_steps": 3,
    "initial_losses": {"a": 1.1},
    "temperature": 1.0,
    "radius": 0.2,
}


def test_the_names_are_those_of_the_catalogue():
    assert set(get_args(Balance)) == set(catalog.BALANCERS)
    assert set(READ_BY) == set(SET) == set(BalanceOptions().changed()) | set(SET)


@pytest.mark.parametrize("name", sorted(SET))
@pytest.mark.parametrize("balance", get_args(Balance))
def test_an_option_that_the_balancer_does_not_read_is_refused_by_name(balance, name):
    if balance in READ_BY[name]:
        assert BalanceOptions(balance=balance, **{name: SET[name]}).changed() == [name]
        return
    with pytest.raises(ConfigError, match=f"balance {balance} does not read '{name}'"):
        BalanceOptions(balance=balance, **{name: SET[name]})


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"balance": "gradnrom"}, "did you mean 'gradnorm'"),
        ({"balance": "gradnorm", "weight_optimiser": "adamw"}, "did you mean 'adam'"),
        ({"balance": "gradnorm", "alpha": -1.0}, "alpha"),
        ({"balance": "gradnorm", "weight_rate": 0.0}, "weight_rate"),
        ({"balance": "gradnorm", "initial_steps": 0}, "initial_steps"),
        ({"balance": "gradnorm", "initial_losses": {"a": 0.0}}, "initial_losses of a"),
        ({"balance": "static", "weights": {"a": float("nan")}}, "weights of a"),
        ({"balance": "static", "weights": {"a": -2.0}}, "weights of a"),
        ({"balance": "dwa", "temperature": 0.0}, "temperature"),
    ],
)
def test_impossible_values_are_refused_by_name(chosen, words):
    with pytest.raises(ConfigError, match=words):
        BalanceOptions(**chosen)
