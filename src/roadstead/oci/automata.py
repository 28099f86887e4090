"""Finite automata over text, for patterns that strangers write: never backtracking, never exponential.

Sets of states are integers, one bit a state; each character of a name costs a few operations on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

# What a step may read: this very character, or any that the function allows.
Symbol = str | Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Automaton:
    """Which names a pattern means.  Built by `Builder`."""

    start: int
    accepting: int
    # Where each state leads, free moves included.
    follows: tuple[int, ...]
    # The states that lead to the next one only, so that a shift moves all of them at once.
    straight: int
    # The states that lead to themselves.
    loops: int
    # The states that a character moves: those that name it, and those that a function lets through.
    letters: Mapping[str, int]
    classes: tuple[tuple[Callable[[str], bool], int], ...]

    def accepts(self, name: str) -> bool:
        """Whether the whole of `name` is meant."""
        movable: dict[str, int] = {}
        states = self.start
        for character in name:
            mask = movable.get(character)
            if mask is None:
                mask = movable[character] = self._moved_by(character)
            moving = states & mask
            states = (moving & self.straight) << 1
            stepping = moving & ~self.straight & ~self.loops
            while stepping:
                lowest = stepping & -stepping
                states |= self.follows[lowest.bit_length() - 1]
                stepping ^= lowest
            # Free moves are made already: who stays where somebody came adds nothing.
            staying = moving & self.loops & ~states
            while staying:
                states |= self.follows[(staying & -staying).bit_length() - 1]
                staying &= ~states
            if not states:
                return False
        return states & self.accepting != 0

    def _moved_by(self, character: str) -> int:
        mask = self.letters.get(character, 0)
        for allows, states in self.classes:
            if allows(character):
                mask |= states
        return mask


@dataclass(slots=True)
class Builder:
    """States are numbers.  A free move leads from an older state to a newer one, always."""

    _steps: list[tuple[Symbol, int] | None] = field(default_factory=list)
    _free: list[list[int]] = field(default_factory=list)

    def state(self, sources: Iterable[int] = ()) -> int:
        """A new state, to which one may move from each of `sources` without reading anything."""
        number = len(self._steps)
        self._steps.append(None)
        self._free.append([])
        for source in sources:
            self._free[source].append(number)
        return number

    def step(self, sources: tuple[int, ...], symbol: Symbol) -> int:
        """A new state, to which `symbol` leads from each of `sources`."""
        (source,) = sources if len(sources) == 1 else (self.state(sources),)
        if self._steps[source] is not None:
            source = self.state((source,))
        target = self.state()
        self._steps[source] = (symbol, target)
        return target

    def loop(self, sources: Iterable[int], symbol: Symbol) -> int:
        """A new state, in which one may stay for as long as `symbol` comes."""
        number = self.state(sources)
        self._steps[number] = (symbol, number)
        return number

    def build(self, start: int, ends: Iterable[int]) -> Automaton:
        accepting = self.state(ends)
        reached = self._reached(accepting)
        letters: dict[str, int] = {}
        classes: dict[Callable[[str], bool], int] = {}
        follows, straight, loops = [0] * len(reached), 0, 0
        for number, step in enumerate(self._steps):
            if step is None:
                continue
            symbol, target = step
            if isinstance(symbol, str):
                letters[symbol] = letters.get(symbol, 0) | 1 << number
            else:
                classes[symbol] = classes.get(symbol, 0) | 1 << number
            follows[number] = reached[target]
            if target == number:
                loops |= 1 << number
            elif reached[target] == 1 << number + 1:
                straight |= 1 << number
        return Automaton(
            start=reached[start],
            accepting=1 << accepting,
            follows=tuple(follows),
            straight=straight,
            loops=loops,
            letters=letters,
            classes=tuple(classes.items()),
        )

    def _reached(self, accepting: int) -> list[int]:
        """The states that matter - those with a step, and the accepting one - at no cost from each."""
        reached = [0] * len(self._steps)
        for number in reversed(range(len(self._steps))):
            if self._steps[number] is not None or number == accepting:
                reached[number] = 1 << number
            for target in self._free[number]:
                reached[number] |= reached[target]
        return reached
