"""What TensorBoard shows of a folder of event files."""

import struct
from collections import defaultdict
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The points of each curve: files in the order of their names, as TensorBoard reads them.

    A session that starts at a step takes the later points of earlier sessions away.
    """
    curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in events(path):
            if event.HasField("session_log") and event.session_log.status == 1:
                for points in curves.values():
                    points[:] = [point for point in points if point[0] < event.step]
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    curves[value.tag].append((event.step, value.simple_value))
    return {name: points for name, points in curves.items() if points}


def events(path: Path) -> list[Event]:
    """The whole events of a file. One that is cut off at its end is left out."""
    data, position, found = path.read_bytes(), 0, []
    while position + 12 <= len(data):
        (size,) = struct.unpack_from("<Q", data, position)
        record = data[position + 12 : position + 12 + size]
        position += 16 + size
        if position > len(data):
            break
        found.append(Event.FromString(record))
    return found
