"""Answers that get lost, copies that are written twice, runs that end half-way, changes and transactions in between."""

import itertools
from random import Random
from typing import Any

import pytest

from tests.brokers.tools import Record
from tests.integration.events import cart
from tests.ops.dlq.conftest import Lost, Post, Transaction, Write, copies_are_written
from worker.ops.dlq import transactions

CARTS = 4


class Faults:
    """Of one run; what happens to each copy is the dice's."""

    def __init__(self, dice: Random, post: Post, other: Transaction, newest: dict[str, int]) -> None:
        self._dice, self._post, self._other, self._newest = dice, post, other, newest
        self._versions = itertools.count(max(newest.values()) + 1)
        self.open = False

    def happen(self, write: Write) -> Any:
        before = [self._change, self._change_in_a_transaction, write]
        for action in self._dice.choices(before, k=self._dice.randint(0, 4)):
            action()
        future = write()
        self._dice.choice([self._nothing, self._nothing, self._change])()
        return self._dice.choice([lambda: future, lambda: future, Lost, self._end])()

    def commit(self) -> None:
        if self.open:
            self._other.commit()
            self.open = False

    def _change(self) -> None:
        self._post.write([self._next()])

    def _change_in_a_transaction(self) -> None:
        if not self.open:
            self._other.write(self._next())
            self.open = True

    def _next(self) -> Record:
        id_ = str(self._dice.randrange(CARTS))
        self._newest[id_] = next(self._versions)
        return cart(id_, self._newest[id_])

    def _nothing(self) -> None:
        pass

    def _end(self) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("seed", range(4))
def test_the_newest_state_is_the_last_one(
    post: Post, other: Transaction, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice, newest = Random(seed), {str(number): 1 for number in range(CARTS)}
    post.reject(post.write([cart(id_) for id_ in newest]))
    for _ in range(3):
        faults = Faults(dice, post, other, newest)
        with monkeypatch.context() as patch:
            patch.setattr(transactions, "_pause", faults.commit)
            patch.setattr(transactions, "PATIENCE", dice.choice([0, 30]))
            copies_are_written(patch, faults.happen)
            post.dlq("redrive", "--execute")
        faults.commit()

    post.redrive("--execute")

    last = {record.key: record.value for record in post.records()}
    assert last == {f"cart:{id_}".encode(): cart(id_, version).value for id_, version in newest.items()}
