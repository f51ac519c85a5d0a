"""A service desk plans its week, first by the clock of arrival and then by what matters to it.

Run it: python examples/schedule_week.py
"""

from mesh_fl.agents.resource.capacity import Demand, Member, Target, plan_capacity
from mesh_fl.agents.resource.feasibility import explain
from mesh_fl.agents.resource.objective import Mode
from mesh_fl.agents.resource.problem import Problem, Task, Technician
from mesh_fl.agents.resource.rules import Rule, dispatch
from mesh_fl.agents.resource.schedule import Schedule
from mesh_fl.agents.resource.solver import solve

NETWORK, CLOUD, MAINFRAME = (frozenset({one}) for one in ("network", "cloud", "mainframe"))
ANY = frozenset[str]()

DAYS = tuple((24.0 * day, 24.0 * day + 8.0) for day in range(5))
HORIZON_H = 120.0

TECHNICIANS = (
    Technician("Ada", NETWORK | CLOUD, cost_h=80.0, level=4.0, available=DAYS),
    Technician("Ben", NETWORK, cost_h=50.0, level=2.0, available=DAYS, busy=((2.0, 4.0),)),
    Technician("Cleo", CLOUD, cost_h=40.0, level=1.0, available=DAYS[:3]),
)

TASKS = (
    Task("laptop rollout", 7.5, priority=4),
    Task("new firewall", 6.0, priority=3, skills=NETWORK, due_h=56.0),
    Task("mail migration", 7.0, priority=2, skills=CLOUD, due_h=32.0),
    Task("backup audit", 5.0, priority=3, skills=CLOUD),
    Task("switch is down", 1.5, priority=1, skills=NETWORK, due_h=2.0),
    Task("password resets", 0.5, priority=3),
    Task("VPN for the branch", 2.0, priority=2, skills=NETWORK, due_h=8.0),
    Task("printer", 0.75, priority=4),
    Task("restore a file", 0.5, priority=2, due_h=4.0),
    Task("tenant hardening", 4.0, priority=3, skills=CLOUD, due_h=80.0),
    Task("site survey", 3.0, priority=3, skills=NETWORK, release_h=24.0, latest_start_h=28.0),
    Task("batch job abends", 2.0, priority=2, skills=MAINFRAME),
    Task("office move", 12.0, priority=4, skills=NETWORK, may_split=True),
    Task("rewire the hall", 12.0, priority=4, skills=NETWORK),
)

MODES: tuple[Mode, ...] = ("speed", "cost", "quality", "balanced")


def show(name: str, problem: Problem, schedule: Schedule) -> None:
    cost = schedule.labour_cost(problem)
    print(
        f"{name:10}{schedule.flow_h(problem):8.1f} h until done {schedule.late(problem):3} late"
        f"{cost or 0:8.0f} EUR   {schedule.method}"
    )


def main() -> None:
    problem = Problem(TASKS, TECHNICIANS, HORIZON_H)
    for obstacle in explain(problem):
        print(f"cannot be: {', '.join(obstacle.task_ids)}: {obstacle.reason}")
    show("fifo", problem, dispatch(problem, Rule.FIFO))
    plans = {mode: solve(problem, mode, seconds=1.0) for mode in MODES}
    for mode, plan in plans.items():
        show(mode, problem, plan)
    for one in plans["balanced"].assignments:
        day, hour = divmod(one.start_h, 24.0)
        print(f"  day {day + 1:.0f} {9 + hour:5.2f}  {one.technician_id:5}{one.task_id}")
    demands = [
        Demand.predicted("network", tasks_week=20, p50=1.5, p90=6.0),
        Demand.predicted("cloud", tasks_week=10, p50=2.0, p90=6.0),
    ]
    members = [Member(one.technician_id, one.skills, 40.0) for one in TECHNICIANS]
    for skill in plan_capacity(demands, members, Target(utilisation=0.85, wait_h=1.0)).skills:
        print(f"{skill.skill}: {skill.people_more} more; {skill.reason}")


if __name__ == "__main__":
    main()
