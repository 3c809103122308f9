"""The rule and the module of the convolutional LSTM layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bridge.graph import Layer
from bridge.graph.bodies.activations import activation_name
from bridge.graph.bodies.conv_lstm import check_conv_lstm, input_window, recurrent_pads
from bridge.graph.bodies.space import channels_last, rank_of
from bridge.graph.layer import Shape
from bridge.torch_side.layers.activations import activation_module
from bridge.torch_side.layers.space import flat_pads, scalar, unless
from bridge.torch_side.writing.part import New, Part, Take, rule


class ConvLSTM(nn.Module):
    """Keras's convolutional LSTM: (batch, steps, *space, channels) -> (batch, *space, filters), space of `rank` axes.

    pads: zeros around a step as F.pad takes them, where `padding` can't say it. The state keeps its size: of an even
    kernel one zero more comes after it, or before it if `more_before`.
    sequences: gives the output of every step; states: gives (output, h, c); backwards: begins with the last step.
    dropout: one draw for all steps, another for each gate.
    zero_output: a masked step gives zeros; else it repeats the output of the step before.
    """

    def __init__(
        self,
        rank: int,
        in_channels: int,
        filters: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        pads: tuple[int, ...] = (),
        bias: bool = True,
        activation: nn.Module | None = None,
        recurrent_activation: nn.Module | None = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        sequences: bool = False,
        states: bool = False,
        backwards: bool = False,
        zero_output: bool = False,
        more_before: bool = False,
        channels_last: bool = True,
    ):
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
        self.input = conv(in_channels, 4 * filters, kernel_size, stride, padding, dilation, bias=bias)
        size = self.input.kernel_size
        even = any(length % 2 == 0 for length in size)
        around = 0 if even else tuple(length // 2 for length in size)
        self.recurrent = conv(filters, 4 * filters, kernel_size, padding=around, bias=False)
        halves = [((length - 1) // 2, length // 2) for length in reversed(size)]
        sides = [side for pair in halves for side in (reversed(pair) if more_before else pair)]
        self.pads, self.recurrent_pads = pads, tuple(sides) if even else ()
        self.activation = activation or nn.Tanh()
        self.recurrent_activation = recurrent_activation or nn.Sigmoid()
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.sequences, self.states, self.backwards = sequences, states, backwards
        self.zero_output, self.channels_last = zero_output, channels_last

    def forward(
        self, x: Tensor, state0: Tensor | None = None, state1: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """mask: (batch, steps), true for the steps that count; or (batch, steps, *space), for the places."""
        x = x.movedim(-1, 2) if self.channels_last else x
        gates = self._gates(self.input, x.flatten(0, 1), self.pads, self._draw(self.dropout, x[:, 0]))
        gates = gates.unflatten(0, x.shape[:2])
        nothing = gates.new_zeros(()).expand(x.shape[0], gates.shape[2] // 4, *gates.shape[3:])
        h, c = (
            nothing if state is None else state.movedim(-1, 1) if self.channels_last else state
            for state in (state0, state1)
        )
        draw, output, outputs = self._draw(self.recurrent_dropout, h), nothing, []
        steps = range(x.shape[1])
        for step in reversed(steps) if self.backwards else steps:
            z = gates[:, step] + self._gates(self.recurrent, h, self.recurrent_pads, draw)
            i, f, g, o = z.chunk(4, dim=1)
            new_c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
            new_h = self.recurrent_activation(o) * self.activation(new_c)
            if mask is None:
                h, c, output = new_h, new_c, new_h
            else:
                kept = mask[:, step].bool()
                kept = kept.view(*kept.shape, *[1] * (h.ndim - kept.ndim))
                kept = kept.movedim(-1, 1) if self.channels_last else kept
                h, c = torch.where(kept, new_h, h), torch.where(kept, new_c, c)
                output = torch.where(kept, new_h, nothing if self.zero_output else output)
            outputs.append(output)
        y = torch.stack(outputs, dim=1) if self.sequences else output
        if self.channels_last:
            y, h, c = y.movedim(2 if self.sequences else 1, -1), h.movedim(1, -1), c.movedim(1, -1)
        return (y, h, c) if self.states else y

    def _draw(self, p: float, like: Tensor) -> Tensor | None:
        """What one step's tensor is multiplied by for each gate, the gates side by side in the channels."""
        if not self.training or not 0 < p < 1:
            return None
        return F.dropout(torch.ones_like(like).repeat(1, 4, *[1] * (like.ndim - 2)), p)

    def _gates(self, conv: nn.Module, x: Tensor, pads: tuple[int, ...], draw: Tensor | None) -> Tensor:
        """The convolution of x, (rows, channels, *space), for the four gates; with a draw, each of its own x."""
        if draw is None:
            return conv(F.pad(x, pads) if pads else x)
        x = x.unflatten(0, (len(draw), -1)).repeat(1, 1, 4, *[1] * (x.ndim - 2)) * draw.unsqueeze(1)
        x = x.flatten(0, 1)
        function = (F.conv1d, F.conv2d, F.conv3d)[x.ndim - 3]
        x = F.pad(x, pads) if pads else x
        return function(x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, groups=4)


@rule("ConvLSTM1D")
@rule("ConvLSTM2D")
@rule("ConvLSTM3D")
def conv_lstm(layer: Layer, shapes: list[Shape]) -> Part:
    check_conv_lstm(layer, shapes)
    config, rank, (found, _) = layer.config, rank_of(layer), input_window(layer, shapes)
    *_, channels, filters = layer.weights["kernel"].shape
    turned = (rank + 1, rank, *range(rank))
    weights = {"input.weight": Take("kernel", turned), "recurrent.weight": Take("recurrent_kernel", turned)}
    if "bias" in layer.weights:
        weights["input.bias"] = Take("bias")
    options = unless(1, stride=scalar(found.strides), dilation=scalar(found.dilations))
    if all(before == after for before, after in found.known):
        options |= unless(0, padding=scalar(before for before, _ in found.known))
    else:
        options["pads"] = flat_pads(found.known)
    options |= unless(True, bias="bias" in layer.weights, channels_last=channels_last(layer))
    options |= unless(0.0, dropout=config["dropout"], recurrent_dropout=config["recurrent_dropout"])
    words = {"sequences": "return_sequences", "states": "return_state", "backwards": "go_backwards"}
    options |= unless(False, **{word: bool(config[option]) for word, option in words.items()})
    options |= unless(False, zero_output=bool(config.get("zero_output_for_mask")))
    options |= unless(False, more_before=any(before > after for before, after in recurrent_pads(layer)))
    for name, usual in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        if (activation := activation_name(config[name])) != usual:
            options[name] = activation_module(activation)
    names = layer.config["call"]["tensors"]
    given = [f"{{{i}}}" if name == "sequences" else f"{name}={{{i}}}" for i, name in enumerate(names)]
    call = f"{{self}}({', '.join(given)})"
    return Part(New(ConvLSTM, rank, channels, filters // 4, scalar(found.size), **options), weights, call)
