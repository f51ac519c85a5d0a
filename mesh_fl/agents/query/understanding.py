"""From chunks to a plan; what is doubtful is refused, what is taken by default is noted."""

from dataclasses import replace
from typing import Literal

from mesh_fl.agents.query.attachment import meaning_for
from mesh_fl.agents.query.comparing import Having, compared_filters, havings_of, sides_of
from mesh_fl.agents.query.denials import follow_denials
from mesh_fl.agents.query.filters import filters_of
from mesh_fl.agents.query.grouping import asked_column, groups_of, order_of
from mesh_fl.agents.query.linking import conditions_of
from mesh_fl.agents.query.measuring import measure_of, split_share, standing_conditions
from mesh_fl.agents.query.plan import Among, Condition, Group, Measure, Plan, YesNo
from mesh_fl.agents.query.reading import Filter, Mention, Reading, UnclearError
from mesh_fl.agents.query.relations import table_at
from mesh_fl.agents.query.roles import Roles, roles_of, who
from mesh_fl.agents.query.subject import subject_of
from mesh_fl.agents.query.tidying import tidy
from mesh_fl.agents.query.values import LISTS
from mesh_fl.msp_tables import TABLES

ASKING = frozenset((
    "is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "isn't",
    "aren't", "wasn't", "weren't", "don't", "doesn't", "didn't", "hasn't", "haven't",
))  # fmt: skip
"""First words of a question for yes or no."""


def understand(reading: Reading) -> Plan:
    """Turn chunks into a plan.

    Raises
    ------
    UnclearError
        If a word plays no part, or there are two readings with different answers.
    """
    tidy(reading)
    follow_denials(reading)
    if not reading.chunks:
        raise UnclearError("the question names nothing that I know")
    _check_alternatives(reading)
    roles = roles_of(reading)
    having = havings_of(reading, roles)
    reading.fact = subject_of(reading, roles, having)
    reading.demand(reading.fact)
    _name_who(reading, roles)
    compared = compared_filters(reading, roles)
    shown = _asked_moments(reading)
    found = [*compared, *filters_of(reading, roles)]
    plan = _composed(reading, roles, having, found, shown)
    _check_all_used(reading)
    _check_quantity(plan, roles)
    return plan


def _composed(
    reading: Reading,
    roles: Roles,
    having: Having | None,
    found: list[Filter],
    shown: tuple[str, ...],
) -> Plan:
    groups = groups_of(reading, roles, having, found)
    order, rank = order_of(reading, roles, found, bool(groups))
    growth = reading.take_all("growth")
    sides, rest = sides_of(reading, found, growth)
    measure = having.measure if having is not None else None
    measure = measure or measure_of(reading, roles)
    if growth:
        reading.take_all("share")
    if not growth and reading.has("share"):
        part, rest = split_share(reading, roles, rest)
        summed = Measure("sum", measure.quantity) if measure and measure.quantity else None
        measure = replace(summed or Measure("count"), share_of=conditions_of(reading, part))
    conditions = conditions_of(reading, rest)
    if not (groups or order or measure):
        groups, more = asked_column(reading, roles, conditions)
        shown += more
    if reading.take_all("earlier", "later"):
        shown += _whose_edge(reading, roles, conditions, rank)
    if rank or shown:
        measure = None
    elif measure is None and (groups or sides):
        measure = Measure("count")
    if measure is not None:
        conditions += standing_conditions(reading, roles)
    plan = Plan(reading.fact, conditions, measure, groups, sides, order, rank, show=shown)
    plan = replace(plan, versus=_versus(reading, plan))
    plan = _for_yes_or_no(reading, plan, growth)
    plan = _with_having(plan, roles, having)
    return replace(_named_apart(plan), notes=tuple(reading.notes), said=tuple(reading.said))


# Whole questions ----------------------------------------------------------------------------------


def _versus(reading: Reading, plan: Plan) -> Literal["", "more", "fewer"]:
    """Return whether groups with more, or with fewer, of the first side are asked for."""
    if not (plan.sides and plan.groups and reading.has("than")):
        return ""
    return "more" if reading.has("more") else "fewer" if reading.has("fewer") else ""


def _for_yes_or_no(reading: Reading, plan: Plan, growth: bool) -> Plan:
    answer = _yes_no(reading, plan, growth)
    if answer == "any" and plan.measure is None:
        plan = replace(plan, measure=Measure("count"))
    return replace(plan, yes_no=answer)


def _yes_no(reading: Reading, plan: Plan, growth: bool) -> YesNo:
    """Tell what is asked of the result, if it is yes or no."""
    if reading.first not in ASKING or reading.has("count", "how_much", "which", "when"):
        return ""
    if plan.sides and plan.groups:
        raise UnclearError("ask which ones: yes or no is told of all together")
    if plan.sides and growth:
        # The sides of a growth are in the order of time.
        return "more" if reading.has("shrinking") else "fewer"
    if plan.sides:
        return "more" if reading.has("more") else "fewer" if reading.has("fewer") else ""
    if plan.groups or plan.order or plan.show:
        return ""
    if plan.measure is None or plan.measure == Measure("count"):
        return "any"
    raise UnclearError("ask for the number itself; yes or no is told of whether there is any")


def _with_having(plan: Plan, roles: Roles, having: Having | None) -> Plan:
    if having is not None:
        limit = (having.operator, having.number)
        plan = replace(plan, having=limit, count_groups=roles.counts)
    if plan.versus:
        plan = replace(plan, count_groups=roles.counts)
    if len(plan.groups) != 1 or plan.measure != Measure("count"):
        return plan
    group = plan.groups[0]
    key = TABLES[table_at(plan.table, group.path)].key
    order = plan.order
    few = order is not None and not order.descending and order.limit is not None
    below = plan.having is not None and plan.having[0] in {"<", "<="}
    # Whoever has none has fewer than any number, and the fewest.
    with_empty = bool(group.path) and group.column == key and (few or below)
    return replace(plan, with_empty=with_empty)


def _named_apart(plan: Plan) -> Plan:
    """Give numbers of several clients or technicians that are named one by one."""
    if plan.measure is None or plan.groups or plan.sides or plan.yes_no:
        return plan
    for c in plan.conditions:
        if isinstance(c, Among) and len(c.values) > 1 and c.column == "name" and not c.negated:
            return replace(plan, groups=(Group(c.path, TABLES[table_at(plan.table, c.path)].key),))
    return plan


# Single words -------------------------------------------------------------------------------------


def _name_who(reading: Reading, roles: Roles) -> None:
    """Take who, where it is ranked, for the clients or technicians that the rows name."""
    for i in reading.all_of("who"):
        reading.take(i)
        named = any(m.table in {"technicians", "clients"} for m in reading.mentions)
        if not roles.superlative or named or roles.grouped:
            continue
        opened = any(m.name == "opened_at" for c in reading.chunks for m in c.of("event"))
        table = who(reading, reading.fact)
        if not table and reading.fact == "tickets" and not opened:
            table = "technicians"
        if not table:
            raise UnclearError("say whether clients or technicians are meant by who", "who")
        reading.mentions.append(Mention(i, table))


def _asked_moments(reading: Reading) -> tuple[str, ...]:
    """Return the moments that are asked for: when did we last talk to Acme."""
    if not reading.take_all("when"):
        return ()
    found: list[str] = []
    for i in reading.all_of("event"):
        meaning = meaning_for(reading, i, ("event",))[0]
        if meaning.table == reading.fact and i not in reading.used:
            found.append(meaning.name)
            reading.take(i)
    column = reading.known.tables[reading.fact].time
    found = found or ([column] if column else [])
    if not found:
        raise UnclearError("I do not know which moment is asked for", "when")
    reading.demand(reading.fact, *found)
    return tuple(found)


def _whose_edge(
    reading: Reading, roles: Roles, conditions: tuple[Condition, ...], rank: str
) -> tuple[str, ...]:
    """Read which is earlier, the first ticket of Acme or of Globex: the first of both, and whose.

    Raises
    ------
    UnclearError
        If it is not the earlier of two firsts or the later of two lasts.
    """
    wanted = "oldest" if reading.has("earlier") else "newest"
    named = [c for c in conditions if isinstance(c, Among) and len(c.values) == 2 and not c.negated]
    if roles.superlative != wanted or roles.limit not in {None, 1} or len(named) != 1 or not rank:
        raise UnclearError(
            "I can tell the earlier of two firsts and the later of two lasts, such as which is "
            "earlier, the first ticket of A or of B: ask for each by itself"
        )
    table = table_at(reading.fact, named[0].path)
    whose = table.removesuffix("s") if table in {"clients", "technicians"} else named[0].column
    return whose, rank


# Checks -------------------------------------------------------------------------------------------


def _check_alternatives(reading: Reading) -> None:
    """Refuse an or between anything but values of one column: all conditions have to hold."""
    for i in reading.all_of("or"):
        left, right = (_columns(reading, j) for j in (i - 1, i + 1))
        listed = any(f"{table}.{name}" in LISTS for table, name in left & right)
        if listed or not left & right:
            raise UnclearError("I can join with or only values of one column: ask for one", "or")


def _columns(reading: Reading, i: int) -> set[tuple[str, str]]:
    if not reading.kind_at(i, "value"):
        return set()
    return {(m.table, m.name) for m in reading.chunks[i].of("value")}


def _check_all_used(reading: Reading) -> None:
    left = [c.text for i, c in enumerate(reading.chunks) if i not in reading.used]
    if left:
        named = ", ".join(repr(text) for text in left)
        raise UnclearError(f"I do not see what {named} is to do here", *left)


def _check_quantity(plan: Plan, roles: Roles) -> None:
    """Refuse where what was asked for would be left out of the answer."""
    if plan.table == "agreements" and plan.measure == Measure("sum", "amount"):
        raise UnclearError("agreements have prices of unlike periods: ask for the MRR")
    if roles.quantity is None:
        return
    told = {plan.rank, plan.measure.quantity if plan.measure is not None else ""}
    if roles.quantity.name not in told:
        raise UnclearError(f"I do not see what {roles.quantity.title} is to do here")
