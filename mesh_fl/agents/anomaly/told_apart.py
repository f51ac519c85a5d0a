"""Two figures in words, with as many digits as tell them apart."""

FEWEST_DIGITS, MOST_DIGITS = 6, 17


def told_apart(value: float, other: float) -> tuple[str, str]:
    """Write two figures with six digits, or with more where these do not tell them apart."""
    for digits in range(FEWEST_DIGITS, MOST_DIGITS + 1):
        written = f"{value:.{digits}g}", f"{other:.{digits}g}"
        if written[0] != written[1] or value == other:
            return written
    return written
