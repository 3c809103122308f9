"""By which of Keras's backends an old file was written: Theano convolves, TensorFlow and CNTK correlate."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

TENSORFLOW, THEANO = "tensorflow", "theano"
NAMES = (TENSORFLOW, THEANO)


@dataclass(frozen=True)
class Backend:
    """Its name, "" if nothing tells. why: what tells, for people, where the file does not say so itself.

    known: whether the file, its weights' names or the user says so; else it is what its Keras took by default.
    """

    name: str = ""
    why: str = ""
    known: bool = True

    def or_as_stated(self, stated: object) -> Backend:
        """What a config states, where nothing better is known."""
        return Backend(stated) if isinstance(stated, str) and stated and not (self.name and self.known) else self


UNKNOWN = Backend()


def written_by(asked: str | None, stated: object, weights: Iterable[str] | None, numbered: bool) -> Backend:
    """The backend of a file of weights.

    asked: what the user says it is. stated: what the file says, since Keras 2. weights: their names if it is of Keras 0
    or 1: TensorFlow put :0 behind, Theano nothing. numbered: whether it is of Keras 0.x, which has numbers for names.
    """
    if asked:
        return Backend(asked, f"--backend {asked}")
    if isinstance(stated, str) and stated:
        return Backend(stated)
    if numbered:
        return Backend(THEANO, "the default of Keras 0.x, whose files don't say", known=False)
    if weights is None:
        return UNKNOWN
    names = [name for name in weights if not re.fullmatch(r"param_\d+", name.rpartition("/")[2])]
    ended = {name.endswith(":0") for name in names}
    if ended == {True}:
        return Backend(TENSORFLOW, "the names of its weights end in :0, as TensorFlow's do")
    if ended == {False}:
        return Backend(THEANO, "the names of its weights don't end in :0, as TensorFlow's would")
    return Backend(TENSORFLOW, "nothing in the file says so", known=False)
