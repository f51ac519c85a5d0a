"""What plain questions are answered with."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

Cell = str | float | int | bool | None


class Part(BaseModel):
    """A part of an answer; frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Cited(Part):
    """Where an answer comes from.

    Attributes
    ----------
    kind : {"table", "agent"}
    name : str
        Of the table in client.toml, or of the agent.
    rows, left_out : int or None
        Rows of the table that were read, and those that could not be.
    version : str or None
        Of the agent's model; "public" before any training.
    """

    kind: Literal["table", "agent"]
    name: str
    rows: int | None = None
    left_out: int | None = None
    version: str | None = None


class ResultColumn(Part):
    """A column of the result: its name in the SQL, its title for people, and its unit."""

    name: str
    title: str
    unit: str | None


class Series(Part):
    """Values to draw, one for each label."""

    name: str
    unit: str | None
    values: tuple[float | None, ...]


class ChartData(Part):
    """The same rows, to be drawn.

    Attributes
    ----------
    kind : {"bar", "line", "number"}
    x : str or None
        Title of what stands along the axis.
    labels : tuple of str
        Along the axis.
    """

    kind: Literal["bar", "line", "number"]
    x: str | None
    labels: tuple[str, ...]
    series: tuple[Series, ...]


class About(Part):
    """An intent, and its chance under the model that is served."""

    intent: str
    chance: float


class Refusal(Part):
    """Why there is no answer.

    Attributes
    ----------
    kind : str
        Whether the question was not understood, is for an agent that does not answer here, or is
        about nothing that is known here.
    words : tuple of str
        Words that nothing here accounts for.
    suggestions : tuple of str
        What can be asked or done instead.
    """

    kind: Literal["not understood", "agent missing", "agent refused", "out of scope"]
    reason: str
    words: tuple[str, ...]
    suggestions: tuple[str, ...]


class QueryAnswer(Part):
    """The answer to a question, or why there is none.

    Attributes
    ----------
    answered : bool
    answer : str or None
        In words; every number is computed or another agent's.
    phrased_by : str or None
        "template", or the model whose words passed the check.
    sources : tuple of Cited
    sql : str or None
        Runs as it stands on the same tables.
    interpretation : str or None
        How the question was understood.
    columns, rows, truncated : tuple, tuple, bool
        The result, and whether there are more rows.
    chart : ChartData or None
    confidence : float or None
        Share of the question's meaningful words that were understood exactly as written, a
        corrected or defaulted one counting half; no chance of being right.
    intent : str or None
        What the question is about, where that was needed; told by the request or the likeliest.
    intents : tuple of About
        The three likeliest.
    likeness : float or None
        Cosine to the nearest phrase of any intent, which decides what is in scope.
    asked_agent : str or None
        Who answered in place of the tables.
    agent_answer : dict or None
        The whole of that agent's answer.
    refusal : Refusal or None
        None where there is an answer.
    as_of : str
        What now meant, UTC, RFC 3339.
    model_used : str
        What ran.
    unavailable : dict of str to str
        Why each field that is None could not be told.
    """

    answered: bool
    answer: str | None
    phrased_by: str | None
    sources: tuple[Cited, ...]
    sql: str | None
    interpretation: str | None
    columns: tuple[ResultColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    truncated: bool
    chart: ChartData | None
    confidence: float | None
    intent: str | None
    intents: tuple[About, ...]
    likeness: float | None
    asked_agent: str | None
    agent_answer: dict[str, JsonValue] | None
    refusal: Refusal | None
    as_of: str
    model_used: str
    unavailable: dict[str, str]
