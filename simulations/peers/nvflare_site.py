"""What a site of FLARE runs: an epoch on the model that it receives, until there is no more."""

import re
import sys
from pathlib import Path

import nvflare.client as flare
import torch
from torch_mlp import Net, local_epoch
from workload import now, read_task, shard


def main() -> None:
    torch.set_num_threads(1)
    task = read_task(sys.argv[1])
    flare.init()
    number = int(re.sub(r"\D", "", flare.system_info()["site_name"])) - 1
    features, labels = (torch.from_numpy(array) for array in shard(task, number))
    net = Net()
    with Path(sys.argv[1]).with_name(f"site-{number}.marks").open("w", buffering=1) as marks:
        while flare.is_running():
            received = flare.receive()
            if received is None:
                return
            marks.write(f"{now()}\n")
            net.load_state_dict(received.params)
            local_epoch(net, features, labels, task)
            steps = {"NUM_STEPS_CURRENT_ROUND": task.records // task.batch}
            flare.send(flare.FLModel(params=net.state_dict(), meta=steps))
            marks.write(f"{now()}\n")


main()
