"""Lines of a log of which it is known which belong together."""

import random
from collections.abc import Callable, Iterator

KINDS = (
    "{time} host{n} sshd[{n}]: Failed password for invalid user {user} from {ip} port {n} ssh2",
    "{time} host{n} sshd[{n}]: Accepted publickey for {user} from {ip} port {n} ssh2",
    "{time} host{n} CRON[{n}]: (root) CMD ({path})",
    "{time} fw{n} kernel: [{n}.{n}] DROP IN=eth0 SRC={ip} DST={ip} LEN={n} PROTO=TCP DPT={n}",
    '{time} web{n} nginx: {ip} - - "GET /api/items/{n} HTTP/1.1" 200 {n} "-" "curl/8.1"',
    "{time} backup{n} agent: job {id} finished: {n} files, {n} bytes in {n}.{n} s",
    "{time} backup{n} agent: job {id} failed after {n} attempts: timeout waiting for {ip}",
    "{time} db{n} postgres[{n}]: LOG: checkpoint complete: wrote {n} buffers",
    "{time} db{n} postgres[{n}]: ERROR: deadlock detected by process {n} on relation {n}",
    "{time} mail{n} postfix: 0x{hex}: to={mail}, relay={ip}, delay={n}, status=sent",
    "{time} mail{n} postfix: 0x{hex}: to={mail}, status=bounced (host {ip} said: 550)",
    "{time} host{n} systemd: Started Session {n} of user {user}.",
    "{time} host{n} systemd: Stopped target {user} after {n} ms",
    "{time} ad{n} security: user {user} locked out after {n} attempts from {ip}",
    "{time} av{n} scan of {path} done, {n} items clean",
    "{time} av{n} quarantined {path} threat 0x{hex} on device {user}",
    "{time} ups{n} battery at {n} percent, {n} minutes left",
    "{time} sw{n} interface {n} changed state to up",
    "{time} sw{n} interface {n} changed state to down",
)

USERS = (
    *("admin", "ann", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan"),
    *("judy", "mallory", "oscar", "peggy", "trent", "victor", "walter", "zoe"),
)


def log_lines(count: int, seed: int = 0) -> Iterator[tuple[int, str, float]]:
    """Yield kind, line and seconds; kinds come as often as words do (Zipf), 20 lines a second."""
    draw = random.Random(seed)  # noqa: S311 (made-up lines keep no secret)
    weights = [1 / (place + 1) for place in range(len(KINDS))]
    for place, kind in enumerate(draw.choices(range(len(KINDS)), weights, k=count)):
        yield kind, filled(KINDS[kind], draw, place / 20), place / 20


def filled(kind: str, draw: random.Random, seconds: float) -> str:
    """Return a line of a kind."""
    makes: dict[str, Callable[[], str]] = {
        "time": lambda: _clock(seconds),
        "n": lambda: str(draw.randrange(10 ** draw.randrange(1, 6))),
        "ip": lambda: ".".join(str(draw.randrange(256)) for _ in range(4)),
        "user": lambda: draw.choice(USERS),
        "hex": lambda: f"{draw.getrandbits(40):010x}",
        "path": lambda: f"/var/lib/{draw.choice(USERS)}/{draw.choice(USERS)}.sh",
        "id": lambda: f"{draw.getrandbits(32):08x}-0000-4000-8000-{draw.getrandbits(48):012x}",
        "mail": lambda: f"{draw.choice(USERS)}@example.org",
    }
    first, *parts = kind.split("{")
    named = [one.split("}", 1) for one in parts]
    return first + "".join(makes[name]() + rest for name, rest in named)


def _clock(seconds: float) -> str:
    whole = int(seconds)
    hour, minute, second = whole // 3600 % 24, whole // 60 % 60, whole % 60
    return f"2026-03-{1 + whole // 86400:02d}T{hour:02d}:{minute:02d}:{second:02d}.123Z"
