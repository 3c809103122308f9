"""Whole models with loops and conditions in a layer's own code, as Keras and TensorFlow write them."""

from model_case import model, own_layer


@model()
def a_loop_of_fixed_length():
    from keras import ops

    def call(self, x):
        def step(i, y):
            return i + 1, ops.tanh(ops.matmul(y, self.w)) + x

        return ops.while_loop(lambda i, y: i < 3, step, (0, x))[1]

    return own_layer("loop", call, {"w": (6, 6)})


@model()
def a_loop_as_long_as_the_values_say():
    from keras import ops

    def call(self, x):
        def going(i, y):
            return ops.logical_and(ops.sum(ops.abs(y)) < 1000.0, i < 20)

        def step(i, y):
            return i + 1, y * (1.5 + ops.square(self.w))

        steps, y = ops.while_loop(going, step, (0, x), maximum_iterations=50)
        return y + ops.cast(steps, x.dtype)

    return own_layer("loop", call, {"w": (6,)})


@model()
def a_loop_that_never_runs():
    from keras import ops

    def call(self, x):
        return ops.while_loop(lambda y: ops.sum(ops.square(y)) < 0.0, lambda y: (y * self.w,), (x,))[0] + self.w

    return own_layer("loop", call, {"w": (6,)})


@model()
def a_loop_within_a_loop():
    from keras import ops

    def call(self, x):
        def outer(i, y):
            def inner(j, z):
                return j + 1, z * self.w + ops.cast(i, z.dtype)

            return i + 1, ops.tanh(ops.while_loop(lambda j, z: j < i + 1, inner, (0, y))[1])

        return ops.while_loop(lambda i, y: i < 3, outer, (0, x))[1]

    return own_layer("loop", call, {"w": (6,)})


@model()
def a_condition_on_values():
    from keras import ops

    def call(self, x):
        total = ops.sum(x)
        return ops.cond(total > 0.0, lambda: ops.matmul(x, self.w), lambda: x - self.b)

    return own_layer("cond", call, {"w": (6, 6), "b": (6,)})


@model()
def a_condition_in_a_loop():
    from keras import ops

    def call(self, x):
        def step(i, y):
            return i + 1, ops.cond(ops.sum(y) > 0.0, lambda: y * self.w, lambda: y + 1.0)

        return ops.while_loop(lambda i, y: i < 4, step, (0, x))[1]

    return own_layer("loop", call, {"w": (6,)})


@model()
def a_switch():
    from keras import ops

    def call(self, x):
        index = ops.cast(ops.sum(x) > 0.0, "int32") + 1
        return ops.switch(index, [ops.tanh, lambda y: y * self.w, lambda y: y - 2.0], x)

    return own_layer("switch", call, {"w": (6,)})


@model(no_reference="onnx's evaluator joins the rows of a loop's steps without an axis of their own")
def a_scan_over_time():
    from keras import ops

    def call(self, x):
        def step(state, now):
            state = ops.tanh(ops.matmul(now, self.w) + ops.matmul(state, self.u))
            return state, state * 2.0

        last, each = ops.scan(step, ops.zeros_like(x[:, 0]), ops.transpose(x, (1, 0, 2)))
        return ops.transpose(each, (1, 0, 2)) + last[:, None]

    return own_layer("scan", call, {"w": (4, 4), "u": (4, 4)}, (5, 4))


@model(no_reference="onnx's evaluator joins the rows of a loop's steps without an axis of their own")
def a_scan_over_time_of_any_length():
    from keras import ops

    def call(self, x):
        def step(state, now):
            sums, count = state
            sums = sums * self.w + now
            return (sums, count + 1.0), (sums * count[:, None], count)

        begin = (ops.zeros_like(x[:, 0]), ops.zeros_like(x[:, 0, 0]))
        (last, count), (each, _) = ops.scan(step, begin, ops.transpose(x, (1, 0, 2)), reverse=True)
        return last + ops.mean(each, axis=0) / count[:, None]

    return own_layer("scan", call, {"w": (4,)}, (None, 4))


@model()
def a_map_over_rows():
    from keras import ops

    def call(self, x):
        return ops.map(lambda row: ops.matmul(self.w, row) / (1.0 + ops.sum(ops.square(row))), x)

    return own_layer("map", call, {"w": (3, 6)})


@model()
def a_vectorized_map_and_a_counted_loop():
    from keras import ops

    def call(self, x):
        y = ops.vectorized_map(lambda row: row * ops.sum(row), x)
        return ops.fori_loop(0, 3, lambda i, z: z * self.w + ops.cast(i, z.dtype), y)

    return own_layer("both", call, {"w": (6,)})


@model()
def tensorflows_loops_and_conditions():
    import tensorflow as tf

    def call(self, x):
        def step(i, y):
            return i + 1, tf.cond(tf.reduce_sum(y) > 0, lambda: tf.matmul(y, tf.convert_to_tensor(self.w)), lambda: -y)

        y = tf.while_loop(lambda i, y: i < 3, step, [tf.constant(0), x])[1]
        return tf.map_fn(lambda row: tf.nn.softmax(row) * tf.reduce_max(row), y)

    return own_layer("tf_code", call, {"w": (6, 6)})


@model()
def a_function_that_autograph_writes():
    import tensorflow as tf

    @tf.function
    def powers(x, w):
        total = tf.zeros_like(x)
        for i in tf.range(3):
            if tf.reduce_sum(x) > 0.0:
                total += x * tf.cast(i, x.dtype)
            else:
                total -= w
            x = x * w
        return total

    return own_layer("graph", lambda self, x: powers(x, tf.convert_to_tensor(self.w)), {"w": (6,)})


@model(no_reference="onnx's evaluator joins the rows of a loop's steps without an axis of their own")
def an_array_of_tensors():
    import tensorflow as tf

    def call(self, x):
        def step(i, y, rows):
            y = tf.tanh(y * tf.convert_to_tensor(self.w))
            return i + 1, y, rows.write(i, y)

        rows = tf.TensorArray(x.dtype, size=4, element_shape=(None, 6))
        rows = tf.while_loop(lambda i, y, rows: i < 4, step, [tf.constant(0), x, rows])[2]
        return tf.transpose(rows.stack(), (1, 0, 2))

    return own_layer("array", call, {"w": (6,)})


@model()
def a_loop_that_breaks_off():
    import tensorflow as tf

    @tf.function
    def halved(x, w):
        for _ in tf.range(5):
            x = x * w
            if tf.reduce_sum(tf.abs(x)) < 1.0:
                break
        return x

    return own_layer("loop", lambda self, x: halved(x, tf.convert_to_tensor(self.w)), {"w": (6,)})


@model(no_reference="onnx's evaluator joins the rows of a loop's steps without an axis of their own")
def loops_over_steps_and_their_numbers():
    """A `for` over a tensor, a condition on the number of a step, tf.scan with a start and without one."""
    import tensorflow as tf

    @tf.function
    def summed(steps, w):
        total = tf.zeros_like(steps[0])
        for now in steps:
            total = tf.tanh(total * w + now)
        for i in tf.range(3):
            if i > 0:  # noqa: SIM108 (autograph reads it)
                total = total * w
            else:
                total = total - w
        return total

    def call(self, x):
        steps, w = tf.transpose(x, (1, 0, 2)), tf.convert_to_tensor(self.w)
        begun = tf.scan(lambda a, b: a * w + b, steps, initializer=tf.ones_like(steps[0]), reverse=True)
        return summed(steps, w) + begun[0] * tf.scan(lambda a, b: tf.tanh(a + b), steps)[-1]

    return own_layer("loop", call, {"w": (4,)}, (3, 4))
