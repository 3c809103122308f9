"""What older versions of Keras meant by their configs: a table of changes, one entry each, and what applies them."""

from bridge.keras_side.old.dialect import (  # noqa: F401 (they fill the table, in this order)
    gone,
    keras1,
    merge,
    models,
    multi_gpu,
    nodes,
    operations,
    recurrent,
    settings,
    theano,
)
from bridge.keras_side.old.dialect.apply import Upgraded, upgraded
from bridge.keras_side.old.dialect.table import TABLE, Upgrade, Writer

__all__ = ["TABLE", "Upgrade", "Upgraded", "Writer", "upgraded"]
