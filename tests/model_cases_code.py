"""Whole models with code that tf2onnx writes: TensorFlow's own functions, weights within them, what ONNX lacks."""

from model_case import model, own_layer


@model(
    no_reference="onnx's evaluator leaves out the last channel of an LRN's window",
    no_double="TensorFlow resizes in float32 alone",
)
def convolutions_of_a_layers_own():
    """tf.nn's and tf.image's functions with kernels that are weights of the layer."""
    import tensorflow as tf

    def call(self, x):
        kernel = tf.convert_to_tensor(self.kernel)
        y = tf.nn.conv2d(x, kernel, [1, 2, 1, 1], "SAME")
        y = tf.nn.local_response_normalization(tf.nn.max_pool2d(y, 3, 1, "SAME"), 1)
        y = tf.nn.conv2d_transpose(y, kernel, tf.shape(x), [1, 2, 1, 1], "SAME")
        y = tf.nn.depthwise_conv2d(y, tf.convert_to_tensor(self.each), [1, 1, 1, 1], "VALID")
        y = tf.image.resize(y, (5, 7)) + tf.image.resize(tf.image.flip_left_right(x), (5, 7), "nearest")
        return tf.nn.avg_pool2d(tf.nn.depth_to_space(tf.concat([y, y[..., :1]], -1), 2), 2, 1, "SAME")

    return own_layer("convolutions", call, {"kernel": (3, 2, 3, 4), "each": (2, 2, 3, 1)}, (6, 6, 3))


@model(
    no_reference="onnx's evaluator takes no depth of rank 1 for OneHot, which the standard allows",
    no_double="tf.one_hot's numbers are float32",
)
def picking_and_sorting():
    import tensorflow as tf

    def call(self, x):
        table = tf.convert_to_tensor(self.table)
        rows = tf.nn.embedding_lookup(table, tf.cast(tf.abs(x) * 2.0, tf.int32) % 5)
        best, places = tf.math.top_k(x, 3)
        ordered = tf.sort(x, axis=1, direction="DESCENDING") + tf.cumsum(x, 1, exclusive=True, reverse=True)
        picked = tf.gather(x, tf.argsort(x, axis=1), batch_dims=1) * tf.math.reduce_std(x, 1, keepdims=True)
        spread = tf.transpose(
            tf.scatter_nd(tf.constant([[0], [2], [0], [1], [2], [0]]), tf.transpose(x), [4, tf.shape(x)[0]])
        )
        summed = tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(x), [0, 2, 1, 2, 0, 1], 3))
        turned, ids = tf.transpose(x), [0, -1, 2, 2, 0, -2]  # rows of negative segments count nowhere
        summed += tf.transpose(tf.math.unsorted_segment_mean(turned, ids, 3))
        parts = [tf.math.segment_mean, tf.math.segment_max, tf.math.segment_prod]  # of an empty one, too
        summed += tf.transpose(tf.add_n([part(turned, [0, 0, 0, 2, 2, 2]) for part in parts]))
        mixed = tf.einsum("bti,bt->bi", rows, x) + tf.tensor_scatter_nd_add(best, [[0, 1], [0, 1]], [2.0, 1.0])
        chosen = tf.one_hot(places[:, 0], 6, 2.0, -1.0) * tf.where(x > 0, x, tf.math.log1p(tf.abs(x)))
        mean = tf.reduce_mean(places * [-3, 2, -1], 1, keepdims=True)  # toward zero
        chosen += tf.cast(mean, x.dtype)
        return tf.concat([ordered, picked, spread, summed, mixed, chosen, tf.reverse(x, [1])], 1)

    return own_layer("picking", call, {"table": (5, 3)})


@model(
    no_reference="onnx's evaluator wants equal sizes of GatherElements on axis -1",
    no_double="the signal's window is float32",
)
def numbers_of_a_signal():
    """What TensorFlow has complex numbers or rare functions for."""
    import tensorflow as tf
    from keras import ops

    def call(self, x):
        power = tf.square(tf.abs(tf.signal.rfft(x * tf.convert_to_tensor(self.window))))
        frames = tf.reduce_mean(tf.signal.frame(x, 4, 2), 1)
        smooth = tf.nn.gelu(x) + tf.math.expm1(x * 0.1) + tf.math.xlogy(x, tf.abs(x) + 0.5)
        loss = tf.nn.sigmoid_cross_entropy_with_logits(tf.sigmoid(x), x) + tf.math.softplus(x)
        places = ops.slice_update(tf.cast(x > 0, tf.int32), (0, 1), tf.cast(x[:, :2] > 1, tf.int32) * 3)
        parts = tf.cast(places, x.dtype) + tf.math.reduce_euclidean_norm(x, 1, keepdims=True)
        inner = (
            tf.linalg.diag_part(tf.matmul(x[:, :, None], x[:, None]))
            + tf.linalg.band_part(x[:, None] * x[:, :, None], 1, 0)[:, 0]
        )
        return tf.concat([power, frames, smooth, loss, parts, inner, tf.math.floormod(x, 0.7)], 1)

    return own_layer("signal", call, {"window": (8,)}, (8,))


@model()
def patches_and_slices_by_the_images_size():
    """Where tf2onnx wants a fixed number of images, or reads `...` as an axis."""
    import tensorflow as tf

    def call(self, x):
        sizes = tf.shape(x)[1:3]
        patches = tf.image.extract_patches(x, [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 2, 1], "SAME")
        whole = tf.image.extract_patches(x, [1, 2, 2, 1], [1, 1, 2, 1], [1, 1, 1, 1], "VALID")
        means = tf.reduce_mean(patches, [1, 2]) / tf.cast(sizes[..., ::-1], x.dtype)[0]
        corner = whole[:, sizes[0] - 2, tf.newaxis, ..., -1, :] + x[:, -1:0:-2, :1][:, 0, :, :1] * self.w
        return tf.concat([means, corner[:, 0]], 1)

    return own_layer("patches", call, {"w": (8,)}, (None, None, 2))


@model(double=(1e-6, "the waves of a Fourier transform are float32 constants"))
def complex_numbers():
    import tensorflow as tf
    from keras import ops

    def call(self, x):
        waves = tf.signal.rfft2d(x)[:, :3] * tf.complex(self.a, self.b)
        mixed = tf.einsum("bxy,xyz->bxz", waves, tf.exp(tf.complex(self.c * 0.0, self.c)))
        back = tf.signal.irfft2d(tf.pad(mixed, [[0, 0], [0, 1], [0, 0]]), [4, 5])
        real, imaginary = ops.fft2((x, ops.flip(x, 1)))
        z = tf.signal.ifft(tf.complex(real, imaginary) / tf.complex(2.0 + x * x, x))
        adjoint = tf.matmul(z, z, adjoint_b=True) - tf.square(z[:, :, :4])
        parts = [tf.abs(z), tf.math.angle(z[:, :, 1:]), tf.math.real(adjoint), tf.math.imag(tf.math.conj(adjoint))]
        return tf.concat([back, *parts, tf.math.cumprod(tf.sin(x), 2, exclusive=True, reverse=True)], 2)

    return own_layer("complex", call, {"a": (3, 3), "b": (3, 3), "c": (3, 3, 3)}, (4, 5))


@model()
def matrices():
    """Inverses and what is like them, of small matrices; numbers in a row that is sorted, and cross products."""
    import tensorflow as tf
    from keras import ops

    def call(self, x):
        square, more = x[:, :, :3], x[:, :, 3:]
        even = tf.matmul(square, square, transpose_b=True) + 2.0 * tf.eye(3, dtype=x.dtype)
        factor = ops.cholesky(even)
        z = tf.linalg.inv(tf.complex(even, square), adjoint=True)
        sign, size = ops.slogdet(square)
        solved = tf.linalg.solve(even, more * self.w) + tf.linalg.triangular_solve(factor, more, adjoint=True)
        places = ops.searchsorted(ops.sort(self.w), x[:, 0, 0], side="right")
        parts = [factor, solved, ops.cross(square, ops.inv(even)), tf.math.real(z), tf.math.imag(z)]
        return tf.concat(parts, 2) + (sign * size + tf.cast(places, x.dtype))[:, None, None]

    return own_layer("matrices", call, {"w": (3,)}, (3, 6))


@model()
def a_merge_made_for_each_call():
    """And an einsum with letters of two cases."""
    import tensorflow as tf
    from keras import layers

    def call(self, x):
        y = layers.add([x * self.w, x], dtype=x.dtype.name)
        return tf.einsum("bh,bH->bhH", x, y)[:, 0] + layers.ReLU(dtype=x.dtype.name)(y)

    return own_layer("merging", call, {"w": (6,)})


@model()
def one_query_for_all_rows():
    import keras
    from keras import layers, ops

    class Latents(layers.Layer):
        def build(self, shape):
            self.latents = self.add_weight(shape=(3, shape[-1]), name="latents")
            self.attention = layers.Attention(name="attention")
            self.dense = layers.Dense(2, name="dense")

        def call(self, x):
            return self.dense(self.attention([ops.expand_dims(self.latents, 0), x]))

    x = keras.Input((5, 4))
    return keras.Model(x, Latents(name="pool")(x))


@model(refused=r"area \(Own\): ResizeArea: tf2onnx writes it as another interpolation")
def what_tf2onnx_writes_wrongly():
    import tensorflow as tf

    return own_layer("area", lambda self, x: tf.image.resize(x, (3, 3), "area"), shape=(6, 6, 3))


@model(refused=r"tf2onnx wrote ONNX that is not valid .*crops/CropAndResize")
def what_is_not_valid_onnx():
    import tensorflow as tf

    def call(self, x):
        return tf.image.crop_and_resize(x, [[0.1, 0.1, 0.8, 0.9]], [0], tf.shape(x)[1:3])

    return own_layer("crops", call, shape=(None, None, 3))


@model(no_double="TensorFlow's own makes float32 of the images", looser=(2e-6, "places within the image are rounded"))
def boxes_cut_out_of_images():
    """Some of them reach beyond the image; their places get a gradient too."""
    import keras
    import tensorflow as tf
    from keras import layers

    class Crops(layers.Layer):
        def call(self, images, boxes):
            number, count = tf.shape(boxes)[0], boxes.shape[1]
            which, boxes = tf.repeat(tf.range(number), count), tf.reshape(boxes, (-1, 4))
            near = tf.image.crop_and_resize(images, boxes, which, (2, 3), "nearest", extrapolation_value=0.5)
            smooth = [tf.image.crop_and_resize(images, boxes, which, size) for size in ((4, 3), (1, 2))]
            return [tf.reshape(t, (number, count, *t.shape[1:])) for t in (near, *smooth)]

    images, boxes = keras.Input((6, 7, 2), name="images"), keras.Input((3, 4), name="boxes")
    return keras.Model([images, boxes], Crops(name="crops")(images, boxes))


@model()
def sizes_in_every_operation():
    """What shapes go through when a stranger's layer slices, rolls, counts in floats and multiplies outer products."""
    import keras
    import tensorflow as tf
    from keras import layers, ops

    class Sizes(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(name="table", shape=(9, shape[-1]))
            self.places = layers.Embedding(2, shape[-1], name="places")
            self.which = self.add_weight(name="which", shape=(1, 1), initializer="ones", dtype="int32", trainable=False)

        def call(self, x):
            steps, width = ops.shape(x)[1], ops.shape(x)[2]
            x = x + self.places(self.which)  # a weight is what this layer is given
            x = x + ops.slice(self.table, (0, 0), (steps, width))
            x = x * ops.cos(ops.arange(steps, dtype=self.compute_dtype))[:, None]
            x = ops.roll(x, (-2, 1), axis=(1, 2))
            outer = ops.cumsum(ops.einsum("bnd,bne->bnde", x, x), axis=1)
            return ops.einsum("bnd,bnde->bne", x, outer), tf.signal.frame(x, 2, 1, axis=1)

    x = keras.Input((None, 4))
    return keras.Model(x, Sizes(name="sizes")(x))


@model()
def axes_by_rank():
    import tensorflow as tf
    from keras import ops

    def call(self, x):
        total = tf.reduce_sum(x, axis=tf.range(1, tf.rank(x)), keepdims=True)
        along = tf.cumsum(x, axis=tf.rank(x) - 1) + ops.cumprod(x, axis=-1)
        return (total + along + tf.squeeze(tf.expand_dims(x, tf.rank(x)), -1)) * self.w

    return own_layer("axes", call, {"w": (4,)}, (3, 4))


@model(refused=r"second \(BatchNormalization\): .*; first \(Own\): .*Lgamma has no ONNX form")
def reasons_of_all_kinds_at_once():
    import keras
    import tensorflow as tf
    from keras import layers

    class Own(layers.Layer):
        def call(self, x):
            return tf.math.lgamma(tf.abs(x) + 1.0)

    second = layers.BatchNormalization(renorm=True, name="second")
    return keras.Sequential([keras.Input((8, 8, 1)), Own(name="first"), second])


@model(refused=r"first \(Own\): .*no ONNX form.*second \(Own\): .*no ONNX form")
def operators_that_onnx_lacks():
    import keras
    import tensorflow as tf
    from keras import layers

    class Own(layers.Layer):
        def __init__(self, function, **options):
            super().__init__(**options)
            self.function = function

        def call(self, x):
            return self.function(x)

    x = keras.Input((6,))
    y = Own(tf.math.lgamma, name="first")(x)
    return keras.Model(x, Own(tf.math.digamma, name="second")(y))


@model()
def numbers_from_the_end_of_a_table():
    """Distances between places, the negative ones counted from the end; tokens of the input are counts as they are."""
    import keras
    from keras import layers, ops

    class Near(layers.Layer):
        def build(self, shape):
            self.table = layers.Embedding(7, 3, name="table")
            self.table.build(None)

        def call(self, x):
            place = ops.arange(ops.shape(x)[1])
            return ops.einsum("bih,ijh->bjh", x, self.table(place[None] - place[:, None]))

    tokens = keras.Input((4,), dtype="int32")
    x = layers.Embedding(10, 3, name="words")(tokens) + layers.Embedding(10, 3, name="back")(tokens - 10)
    return keras.Model(tokens, layers.Dense(2)(Near(name="near")(x)))
