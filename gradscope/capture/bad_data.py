"""Bad data: which tensor of the user's held a NaN or Inf before anything was computed, and where in it the first is."""

from __future__ import annotations

from types import FrameType

import torch

from gradscope.capture.source import EMPTY, Stack
from gradscope.capture.statements import assigned_once
from gradscope.capture.tape import BadData, Tape
from gradscope.capture.variables import reachable, user_frames, variables_of

MOST = 32
"""Tensors that are described."""


def note_bad_data(tape: Tape, frame: FrameType, tensors: list[torch.Tensor], values: tuple[int, ...]) -> None:
    """Describe those of the tensors an operation reads that came with a NaN or Inf."""
    for tensor, number in zip(tensors, values, strict=True):
        value = tape.values[number]
        if not value.bad or value.param >= 0 or number in tape.bad_data or len(tape.bad_data) >= MOST:
            continue
        if value.op < 0 or tape.ops[value.op].bad == "nan_in_data":
            tape.bad_data[number] = BadData(_describe(tensor.detach(), _name(frame, tensor)), _made(frame, tensor))


def _made(frame: FrameType, tensor: torch.Tensor) -> Stack:
    """Where a variable that holds it got it from a call, if it got nothing else there."""
    for user in user_frames(frame):
        for name, held in variables_of(user).items():
            if held is tensor and (line := assigned_once(user.f_code, name)):
                return Stack(((user.f_code, -line),))
    return EMPTY


def _name(frame: FrameType, tensor: torch.Tensor) -> str:
    return next((name for name, held in reachable(frame) if held is tensor), "a tensor")


def _describe(tensor: torch.Tensor, name: str) -> str:
    at = int(torch.isfinite(tensor).logical_not().flatten().to(torch.uint8).argmax())
    index = []
    for size in reversed(tensor.shape):
        at, rest = divmod(at, size)
        index.append(rest)
    found = float(tensor[tuple(reversed(index))])
    where = f" at {index[::-1]}" if index else ""
    return f"{name} of shape {list(tensor.shape)}, {'NaN' if found != found else 'Inf'}{where}"
