"""pfl-research 0.6 (Apple): `SimulatedBackend` in one process, its torch model."""

import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByUser
from pfl.algorithm import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from pfl.privacy import CentrallyAppliedPrivacyMechanism, GaussianMechanism
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch_mlp import Net, accuracy_of
from workload import Outcome, Task, answer, now, shards


class Judged(Net):
    """The network with the two methods that the framework calls."""

    def loss(self, features: Tensor, labels: Tensor, eval: bool = False) -> Tensor:
        return cross_entropy(self(features), labels)

    def metrics(self, features: Tensor, labels: Tensor, eval: bool = True) -> dict[str, float]:
        return {}


class Clock(TrainingProcessCallback):
    """Notes when training begins and when each round ends."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_train_begin(self, *, model: PyTorchModel) -> Metrics:
        self.marks.append(now())
        return Metrics()

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: PyTorchModel, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        self.marks.append(now())
        return False, Metrics()


def train(task: Task) -> Outcome:
    torch.set_num_threads(1)
    net, clock = Judged(task), Clock()
    model = PyTorchModel(
        model=net,
        local_optimizer_create=torch.optim.SGD,
        central_optimizer=torch.optim.SGD(net.parameters(), 1.0),
    )
    FederatedAveraging().run(
        backend=backend(task),
        model=model,
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=task.rounds,
            # Beyond the last round: nothing is evaluated meanwhile, as with the other engines.
            evaluation_frequency=task.rounds + 1,
            train_cohort_size=task.cohort,
            val_cohort_size=0,
        ),
        model_train_params=NNTrainHyperParams(
            local_learning_rate=task.learning_rate,
            local_num_epochs=1,
            local_batch_size=task.batch,
        ),
        model_eval_params=NNEvalHyperParams(local_batch_size=task.tests),
        callbacks=[clock],
    )
    return Outcome(clock.marks, accuracy_of(net, task))


def backend(task: Task) -> SimulatedBackend:
    data = [[torch.from_numpy(array) for array in shard] for shard in shards(task)]
    sampler = get_user_sampler("random", list(range(task.clients)))
    clients = FederatedDataset(lambda client: Dataset(raw_data=data[client]), sampler)
    steps = [WeightByUser()]
    if task.private:
        mechanism = GaussianMechanism(task.clip, task.sigma)
        steps.append(CentrallyAppliedPrivacyMechanism(mechanism))
    return SimulatedBackend(training_data=clients, val_data=None, postprocessors=steps)


if __name__ == "__main__":
    answer(train)
