"""TensorFlow's crop_and_resize by gathering, while a model is traced: boxes cut out of images, each resized."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def crops(plain: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """What stands in the place of TensorFlow's own, which is left for crops whose size is no constant."""

    def crop_and_resize(
        image: Any,
        boxes: Any,
        box_ind: Any,
        crop_size: Any,
        method: str = "bilinear",
        extrapolation_value: float = 0.0,
        name: Any = None,
    ) -> tf.Tensor:
        sizes = tf.get_static_value(tf.convert_to_tensor(crop_size))
        if sizes is None:
            return plain(image, boxes, box_ind, crop_size, method, extrapolation_value, name)
        image, boxes = tf.cast(image, tf.float32), tf.convert_to_tensor(boxes)
        y, is_row = _places(boxes[:, 0], boxes[:, 2], tf.shape(image)[1], int(sizes[0]))
        x, is_column = _places(boxes[:, 1], boxes[:, 3], tf.shape(image)[2], int(sizes[1]))

        def pixels(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
            return _pixels(image, tf.cast(box_ind, tf.int32), rows, columns)

        above, left = tf.floor(y), tf.floor(x)
        below, right = tf.math.ceil(y), tf.math.ceil(x)
        by_x, by_y = (x - left)[:, None, :, None], (y - above)[:, :, None, None]

        def between(pixels: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> tf.Tensor:
            upper = pixels(above, left) + (pixels(above, right) - pixels(above, left)) * by_x
            lower = pixels(below, left) + (pixels(below, right) - pixels(below, left)) * by_x
            return upper + (lower - upper) * by_y

        if method == "nearest":
            found = pixels(tf.floor(y + 0.5), tf.floor(x + 0.5))  # halves go up
            by_boxes = between(lambda *place: tf.stop_gradient(pixels(*place)))  # TensorFlow's gradient of the boxes
            found += by_boxes - tf.stop_gradient(by_boxes)
        else:
            found = between(pixels)
        inside = tf.logical_and(is_row[:, :, None, None], is_column[:, None, :, None])
        return tf.where(inside, found, tf.constant(extrapolation_value, tf.float32))

    return crop_and_resize


def _places(first: tf.Tensor, last: tf.Tensor, size: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Where along an axis the pixels of each box lie, (boxes, count), and which of them are within the image."""
    end = tf.cast(size - 1, tf.float32)
    if count > 1:
        step = (last - first) * end / (count - 1)
        places = (first * end)[:, None] + tf.range(count, dtype=tf.float32) * step[:, None]
    else:
        places = (0.5 * (first + last) * end)[:, None]
    inside = tf.logical_and(places >= 0, places <= end)
    return tf.where(inside, places, tf.zeros_like(places)), inside


def _pixels(image: tf.Tensor, which: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """The pixels of images number `which` in these rows (boxes, h) and columns (boxes, w): (boxes, h, w, channels)."""
    height, width = tf.shape(image)[1], tf.shape(image)[2]
    rows, columns = tf.cast(rows, tf.int32), tf.cast(columns, tf.int32)
    place = ((which[:, None] * height + rows) * width)[:, :, None] + columns[:, None, :]
    return tf.gather(tf.reshape(image, (-1, image.shape[-1] or tf.shape(image)[3])), place)
