"""The handler takes a note; a second SIGINT aborts; handlers are put back."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from veritrain.training import signals as module
from veritrain.training.signals import Abandon, Signals


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_nothing_is_raised(number):
    with Signals() as signals:
        assert signals.received is None
        send(number)
        assert signals.received == number


def test_handlers_are_put_back_even_after_an_error():
    before = [signal.getsignal(number) for number in module.WATCHED]
    with pytest.raises(ValueError, match="x"), Signals():
        assert signal.getsignal(signal.SIGTERM) != before[1]
        raise ValueError("x")
    assert [signal.getsignal(number) for number in module.WATCHED] == before


def test_a_second_sigint_aborts_at_once():
    with pytest.raises(KeyboardInterrupt), Signals():
        send(signal.SIGINT)
        send(signal.SIGINT)


def test_a_second_sigterm_soon_after_changes_nothing(monkeypatch):
    with Signals() as signals:
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        assert signals.received == signal.SIGTERM
        monkeypatch.setattr(module, "PATIENCE_SECONDS", -1.0)
        with pytest.raises(SystemExit) as caught:
            send(signal.SIGTERM)
    assert caught.value.code == 143


def test_validation_is_abandoned_at_once_and_only_there():
    with Signals() as signals:
        with pytest.raises(Abandon), signals.abandonable():
            send(signal.SIGTERM)
            pytest.fail("went on after the signal")
        with pytest.raises(Abandon), signals.abandonable():
            pytest.fail("began although a signal had come")
        send(signal.SIGTERM)


def test_outside_the_main_thread_it_watches_nothing():
    seen = []

    def work():
        with Signals() as signals:
            seen.append(signals.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
