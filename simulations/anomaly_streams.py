"""How often usual readings and lines raise an alarm, what is found, how fast, and in what memory.

Everything is made up from seeds, so that it is known what is usual.

Run it: python simulations/anomaly_streams.py rates --seeds 40
        python simulations/anomaly_streams.py found --seeds 40
        python simulations/anomaly_streams.py drift --seeds 20
        python simulations/anomaly_streams.py speed --count 1000000
"""

import argparse
import math
import resource
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from mesh_fl.agents.anomaly.drift import DriftDetector
from mesh_fl.agents.anomaly.series import judge
from mesh_fl.agents.anomaly.series_made_up import USUAL
from mesh_fl.agents.anomaly.stream import Stream
from mesh_fl.agents.anomaly.templates import TemplateMiner, masked
from mesh_fl.agents.anomaly.templates_made_up import log_lines
from mesh_fl.terminal import show_table

Series = NDArray[np.float64]

FIRST_SEED = 5000
RATE = 1e-3
LENGTHS = (50, 500, 2000, 20_000)
STREAM = 20_000

SPIKES = (6, 8, 12)
HALF = 2000
SPIKES_AT = (2250, 2700, 3100, 3500, 3999)
SCALES = {"Poisson 3": math.sqrt(3), "Laplace": math.sqrt(2)}
"""Of noise: standard deviation where it is not 1."""

SPIKED = ("normal", "Laplace", "Poisson 3", "season of 24", "trend", "AR(1) 0.9", "random walk")


def rates(seeds: int) -> None:
    columns = ["usual series", *(f"n = {one:,}" for one in LENGTHS), f"stream of {STREAM:,}"]
    rows = []
    for name, make in USUAL.items():
        batches = [_batch(make, one, min(seeds, max(4, 200_000 // one))) for one in LENGTHS]
        rows.append([name, *batches, _streamed(make, max(2, seeds // 4))])
    show_table(f"alarms per reading, stated {RATE:g} (95 % interval)", columns, rows)


def _batch(make: Callable[[np.random.Generator, int], Series], count: int, seeds: int) -> str:
    found = [judge(make(_random(seed), count), false_alarm_rate=RATE) for seed in range(seeds)]
    return _rate(sum(len(one.alarms) for one in found), sum(one.readings for one in found))


def _streamed(make: Callable[[np.random.Generator, int], Series], seeds: int) -> str:
    alarms = readings = 0
    for seed in range(seeds):
        stream = Stream(RATE)
        told = stream.add_many(None, make(_random(seed), STREAM).tolist())
        alarms += sum(one.kind == "alarm" for one in told)
        readings += stream.readings
    return _rate(alarms, readings)


def _rate(alarms: int, readings: int) -> str:
    """Write a rate with its interval (Clopper and Pearson), in thousandths."""
    low = _exact(alarms, readings, 0.975) if alarms else 0.0
    high = _exact(alarms + 1, readings, 0.025)
    return f"{1e3 * alarms / readings:.2f} ({1e3 * low:.2f} to {1e3 * high:.2f}) e-3"


def _exact(alarms: int, readings: int, level: float) -> float:
    """Return the rate at which fewer alarms have a probability."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if binom.cdf(alarms - 1, readings, middle) > level:
            low = middle
        else:
            high = middle
    return low


def found(seeds: int) -> None:
    rows = [
        [name, *(_found(name, one, seeds) for one in SPIKES), *_found_streamed(name, seeds)]
        for name in SPIKED
    ]
    batch = [f"{one} sd" for one in SPIKES]
    streamed = [f"stream, {one} sd" for one in SPIKES]
    show_table("share of spikes found, n = 2000, rate 1e-3", ["noise", *batch, *streamed], rows)


def _found(name: str, size: float, seeds: int) -> str:
    hits = 0
    for seed in range(seeds):
        values, places = _spiked(name, size, seed)
        alarms = judge(values[HALF:], false_alarm_rate=RATE).alarms
        hits += len(places & {one.index + HALF for one in alarms})
    return f"{hits / (len(SPIKES_AT) * seeds):.0%}"


def _found_streamed(name: str, seeds: int) -> Iterator[str]:
    for size in SPIKES:
        hits = 0
        for seed in range(seeds):
            values, places = _spiked(name, size, seed)
            told = Stream(RATE).add_many(None, values.tolist())
            hits += len(places & {one.index for one in told if one.kind == "alarm"})
        yield f"{hits / (len(SPIKES_AT) * seeds):.0%}"


def _spiked(name: str, size: float, seed: int) -> tuple[Series, set[int]]:
    """Put spikes into the second half of a series, one of them last."""
    values = USUAL[name](_random(seed), 2 * HALF)
    sides = np.resize([1.0, -1.0], len(SPIKES_AT))
    values[list(SPIKES_AT)] += size * SCALES.get(name, 1.0) * sides
    return values, set(SPIKES_AT)


def drift(seeds: int) -> None:
    rows = [[f"usual, {name}", _drifts(make, seeds), "-", "-"] for name, make in USUAL.items()]
    for shift in (0.25, 0.5, 1.0, 3.0, 30.0):
        late = [one for one in (_late(shift, seed) for seed in range(seeds)) if one is not None]
        share, median = f"{len(late) / seeds:.0%}", f"{np.median(late):.0f}" if late else "-"
        rows.append([f"normal, moved by {shift:g} sd", "-", share, median])
    columns = ["stream", f"told in {STREAM:,} readings", "moves noticed", "readings later"]
    show_table("drift (ADWIN at delta 1e-3 a look, and runs)", columns, rows)
    told = sum(_detected(seed) for seed in range(seeds))
    print(f"ADWIN alone: {told} told of {seeds * STREAM:,} independent values")


def _drifts(make: Callable[[np.random.Generator, int], Series], seeds: int) -> str:
    count = 0
    for seed in range(seeds):
        told = Stream(RATE).add_many(None, make(_random(seed), STREAM).tolist())
        count += sum(one.kind == "drift" for one in told)
    return f"{count / seeds:.2f}"


def _late(shift: float, seed: int) -> int | None:
    values = _random(seed).normal(size=10_000)
    values[6000:] += shift
    told = Stream(RATE).add_many(None, values.tolist())
    return next(
        (one.index - 6000 for one in told if one.kind == "drift" and one.index >= 6000), None
    )


def _detected(seed: int) -> int:
    detector = DriftDetector()
    values = 0.5 + _random(seed).normal(size=STREAM) / 8
    return sum(detector.add(one) is not None for one in values.tolist())


def speed(count: int) -> None:
    rows = [_speed_of_readings(count), _speed_of_masks(count), _speed_of_lines(count)]
    columns = [
        "what",
        "a second, one core",
        "RSS before",
        "RSS after",
        "Python objects, 1 % to 10 %",
    ]
    show_table(f"{count:,} of each", columns, rows)
    print(f"grouping accuracy: {_grouping(min(count, 20_000)):.3f}")


def _speed_of_readings(count: int) -> Sequence[str]:
    values = USUAL["season of 24"](_random(0), count).tolist()
    stream = Stream(RATE)

    def work(first: int, stop: int) -> None:
        stream.add_many(None, values[first:stop])

    return ["readings in one stream", *_timed(work, count)]


def _speed_of_masks(count: int) -> Sequence[str]:
    lines = [line for _, line, _ in log_lines(20_000)]

    def work(first: int, stop: int) -> None:
        for place in range(first, stop):
            masked(lines[place % 20_000])

    return ["lines masked", *_timed(work, count)]


def _speed_of_lines(count: int) -> Sequence[str]:
    lines = [line for _, line, _ in log_lines(200_000)]
    miner = TemplateMiner(RATE)

    def work(first: int, stop: int) -> None:
        for place in range(first, stop):
            miner.add(lines[place % 200_000], place / 20)

    return ["lines templated and counted", *_timed(work, count)]


def _timed(work: Callable[[int, int], None], count: int) -> Iterator[str]:
    """Time a tenth and the rest; measure the memory of another run by Python's own account."""
    before, began = _rss(), time.process_time()
    work(0, count)
    took = time.process_time() - began
    yield f"{count / took:,.0f}"
    yield f"{before:.0f} MB"
    yield f"{_rss():.0f} MB"
    tracemalloc.start()
    work(0, count // 100)
    first = tracemalloc.get_traced_memory()[0]
    work(count // 100, count // 10)
    last = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    yield f"{first / 1e3:,.0f} to {last / 1e3:,.0f} kB"


def _rss() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _grouping(count: int) -> float:
    """Return the share of lines in groups that have exactly one kind's lines (Zhu et al. 2019)."""
    lines, miner = list(log_lines(count, seed=1)), TemplateMiner(RATE)
    for _, line, ts in lines:
        miner.add(line, ts)
    truth: dict[int, set[int]] = defaultdict(set)
    groups: dict[int, set[int]] = defaultdict(set)
    for place, (kind, line, _) in enumerate(lines):
        truth[kind].add(place)
        groups[miner.template_of(line).number].add(place)
    made = list(truth.values())
    return sum(len(one) for one in groups.values() if one in made) / len(lines)


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(FIRST_SEED + seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=["rates", "found", "drift", "speed"])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--count", type=int, default=1_000_000)
    chosen = parser.parse_args()
    match chosen.what:
        case "rates":
            rates(chosen.seeds)
        case "found":
            found(chosen.seeds)
        case "drift":
            drift(chosen.seeds)
        case _:
            speed(chosen.count)


if __name__ == "__main__":
    main()
