"""Flower 1.41: its simulation on Ray, which keeps one worker process per processor."""

import os
from pathlib import Path

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg, Strategy
from flwr.simulation import run_simulation
from torch_mlp import Net, accuracy_of, local_epoch
from workload import Outcome, Task, answer, now, shard

PROCESSORS = os.cpu_count() or 1


def train(task: Task) -> Outcome:
    outcomes: list[Outcome] = []
    run_simulation(
        server_app=server(task, outcomes),
        client_app=client(task),
        num_supernodes=task.clients,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {
                "num_cpus": PROCESSORS,
                "include_dashboard": False,
                "object_store_memory": 200_000_000,
                "_temp_dir": str(Path.cwd() / "ray"),
            },
        },
    )
    return outcomes[0]


def client(task: Task) -> ClientApp:
    app = ClientApp()

    @app.train()
    def turn(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        data = shard(task, int(context.node_config["partition-id"]))
        net = Net()
        net.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
        local_epoch(net, torch.from_numpy(data[0]), torch.from_numpy(data[1]), task)
        told = RecordDict(
            {
                "arrays": ArrayRecord(net.state_dict()),
                "metrics": MetricRecord({"num-examples": task.records}),
            }
        )
        return Message(content=told, reply_to=message)

    return app


def server(task: Task, outcomes: list[Outcome]) -> ServerApp:
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        marks: list[float] = []
        net = Net(task)
        result = strategy(task).start(
            grid=grid,
            initial_arrays=ArrayRecord(net.state_dict()),
            num_rounds=task.rounds,
            # Called before the first round and after each: the place to look at a clock.
            evaluate_fn=lambda done, arrays: marks.append(now()),
        )
        net.load_state_dict(result.arrays.to_torch_state_dict())
        outcomes.append(Outcome(marks, accuracy_of(net, task)))

    return app


def strategy(task: Task) -> Strategy:
    plain = FedAvg(
        fraction_train=task.cohort / task.clients,
        fraction_evaluate=0.0,
        min_train_nodes=task.cohort,
        min_available_nodes=task.clients,
    )
    if not task.private:
        return plain
    return DifferentialPrivacyServerSideFixedClipping(
        plain,
        noise_multiplier=task.sigma / task.clip,
        clipping_norm=task.clip,
        num_sampled_clients=task.cohort,
    )


if __name__ == "__main__":
    answer(train)
