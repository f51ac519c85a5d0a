"""NVIDIA FLARE 2.9: its simulator, which runs every site in a process of its own.

There are as many sites as a cohort has members, and all take part in each round: a site stands for
an institution here, and a hundred of them would be a hundred processes.
"""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from nvflare.app_opt.pt.recipes import FedAvgRecipe
from nvflare.client.config import TransferType
from nvflare.recipe import SimEnv
from nvflare_noise import ClipAndNoise
from torch_mlp import Net, accuracy_of
from workload import Outcome, Task, answer

SITE = Path(__file__).with_name("nvflare_site.py")


def train(task: Task) -> Outcome:
    folder = Path.cwd()
    recipe(task, folder).execute(
        SimEnv(
            num_clients=task.cohort,
            num_threads=task.cohort,
            workspace_root=str(folder / "workspace"),
        )
    )
    (saved,) = folder.rglob("FL_global_model.pt")
    trained = torch.load(saved)["model"]
    net = Net(task)
    net.load_state_dict({name: torch.as_tensor(value) for name, value in trained.items()})
    return Outcome(marks(folder, task), accuracy_of(net, task))


def recipe(task: Task, folder: Path) -> FedAvgRecipe:
    given, begin = folder / "task-of-sites.json", folder / "start.pt"
    given.write_text(json.dumps(asdict(task)))
    torch.save(Net(task).state_dict(), begin)
    made = FedAvgRecipe(
        name="peers",
        min_clients=task.cohort,
        num_rounds=task.rounds,
        model=Net(),
        initial_ckpt=str(begin),
        train_script=str(SITE),
        train_args=str(given),
        params_transfer_type=TransferType.DIFF,
    )
    if task.private:
        share = task.sigma / task.cohort**0.5
        made.add_client_output_filter(ClipAndNoise(task.clip, share), tasks=["train"])
    return made


def marks(folder: Path, task: Task) -> list[float]:
    """Return when the first site of each round got its model, and when the last one was done."""
    noted = [
        [float(line) for line in file.read_text().split()] for file in folder.glob("site-*.marks")
    ]
    begins, ends = zip(*((times[0::2], times[1::2]) for times in noted), strict=True)
    first = [min(times) for times in zip(*begins, strict=True)]
    return [*first[: task.rounds], max(times[-1] for times in ends)]


if __name__ == "__main__":
    answer(train)
