"""The legacy HDF5 layout of weights: one group a layer, `layer_names` and `weight_names` as attributes.

Written by Keras 1 and 2 and, for names that end in .h5, by Keras 3. Layers are matched by name when all names agree, by
order otherwise; inside a layer the weights by name, by order where the names differ. Keras 0.x had numbers for both:
`layer_0/param_0`.
"""

from bridge.keras_side.files.legacy.content import TOP, Came, Matched, backend, groups, root
from bridge.keras_side.files.legacy.reading import fill

__all__ = ["TOP", "Came", "Matched", "backend", "fill", "groups", "root"]
