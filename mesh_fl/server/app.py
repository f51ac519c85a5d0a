"""The training as a Flower ServerApp."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from mesh_fl.training import Training


def make_app(training: Training) -> ServerApp:
    """Return a ServerApp that runs a training to its end, over the exchange that it was given."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        training.run()

    return app
