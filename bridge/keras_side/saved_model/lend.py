"""Large float32 inputs of a program in float64: made so where they are used, as little of them as is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.graph_pb2 import GraphDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.framework.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_INT32
from tensorflow.python.framework.tensor_util import MakeNdarray

from bridge.graph import stored

_PRODUCTS = {"MatMul": ("transpose_a", "transpose_b"), "BatchMatMulV2": ("adj_x", "adj_y")}


@dataclass(frozen=True)
class _Lent:
    """A tensor that is float32 still. held: the input that it is; turned: transposed."""

    held: str
    shape: tf.TensorShape
    turned: bool = False


def lend(graph: GraphDef, inputs: Mapping[str, tf.TensorShape], fed: set[str]) -> None:
    """Of these inputs only the rows that are looked up become float64, and of a matrix that is multiplied with some
    rows at a time; or all, once its user has the rest. fed: all inputs, which nothing can wait for."""
    lent = {name: _Lent(name, shape) for name, shape in inputs.items()}
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    made: list[NodeDef] = []
    for node in graph.node:
        if node.name in inputs:
            node.attr["dtype"].type = DT_FLOAT
            continue
        data = [name for name in node.input if not name.startswith("^")]
        places = [place for place, name in enumerate(data) if name.split(":")[0] in lent]
        if not places:
            continue
        first = lent[data[places[0]].split(":")[0]]
        if node.op == "Identity":
            node.attr["T"].type = DT_FLOAT
            lent[node.name] = first
        elif node.op == "Transpose" and _is_swap(constants.get(data[1].split(":")[0])):
            node.attr["T"].type = DT_FLOAT
            lent[node.name] = replace(first, turned=not first.turned)
        elif places == [0] and node.op == "GatherV2":
            rows = NodeDef()
            rows.CopyFrom(node)
            rows.name, rows.attr["Tparams"].type = f"{node.name}/rows", DT_FLOAT
            made.append(rows)
            node.CopyFrom(_widened(node.name, rows.name))
        elif places == [1] and _is_product(node, first):
            made += _by_parts(node, first)
        else:
            others = {name.split(":")[0] for place, name in enumerate(data) if place not in places}
            rest = sorted(f"^{name}" for name in others - fed)
            for place in places:
                made.append(_widened(f"{node.name}/widened_{place}", data[place], *rest))
                node.input[place] = made[-1].name
    graph.node.extend(made)


def _is_swap(node: NodeDef | None) -> bool:
    return node is not None and MakeNdarray(node.attr["value"].tensor).tolist() == [1, 0]


def _is_product(node: NodeDef, lent: _Lent) -> bool:
    """Whether it is one by a large matrix, and worth to be done by parts."""
    known = node.op in _PRODUCTS and lent.shape.rank == 2 and lent.shape.is_fully_defined()
    return known and not node.attr[_PRODUCTS[node.op][0]].b and 8 * lent.shape.num_elements() > stored.CHUNK


def _by_parts(node: NodeDef, lent: _Lent) -> list[NodeDef]:
    """The nodes of a product with some rows of the matrix after the others; the last of them becomes the node."""
    count, width = lent.shape
    turned = lent.turned != node.attr[_PRODUCTS[node.op][1]].b
    rows = max(1, stored.CHUNK // (8 * width))
    x, made, products = node.input[0], list[NodeDef](), list[str]()

    def add(op: str, name: str, *inputs: str, **types: int) -> NodeDef:
        made.append(NodeDef(name=f"{node.name}/{name}", op=op, input=inputs))
        for key, value in types.items():
            made[-1].attr[key].type = value
        return made[-1]

    def constant(name: str, *values: int) -> str:
        found = add("Const", name, dtype=DT_INT32)
        found.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.array(values, np.int32)))
        return found.name

    for number, at in enumerate(range(0, count, rows)):
        end = min(at + rows, count)
        begin, size = constant(f"begin_{number}", at, 0), constant(f"size_{number}", end - at, width)
        before = [f"^{products[-1]}"] if products else []
        part = add("Slice", f"rows_{number}", lent.held, begin, size, *before, T=DT_FLOAT, Index=DT_INT32)
        made.append(_widened(f"{node.name}/part_{number}", part.name))
        part, given = made[-1], x
        if not turned:  # the columns of x that meet these rows, whatever axes x has before
            places = [constant(f"{word}_{number}", 0, place) for word, place in (("from", at), ("to", end))]
            step = constant(f"step_{number}", 1, 1)
            cut = add("StridedSlice", f"x_{number}", x, *places, step, T=DT_DOUBLE, Index=DT_INT32)
            cut.attr["ellipsis_mask"].i = 1
            given = cut.name
        product = add(node.op, f"product_{number}", given, part.name, T=DT_DOUBLE)
        product.attr[_PRODUCTS[node.op][1]].b = turned
        products.append(product.name)
    whole = NodeDef(name=node.name, op="ConcatV2" if turned else "AddN", input=products)
    whole.attr["T"].type, whole.attr["N"].i = DT_DOUBLE, len(products)
    if turned:
        minus = add("Const", "axis", dtype=DT_INT32)
        minus.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.int32(-1)))
        whole.input.append(minus.name)
        whole.attr["Tidx"].type = DT_INT32
    node.CopyFrom(whole)
    return made


def _widened(name: str, *inputs: str) -> NodeDef:
    node = NodeDef(name=name, op="Cast", input=inputs)
    node.attr["SrcT"].type, node.attr["DstT"].type = DT_FLOAT, DT_DOUBLE
    return node
