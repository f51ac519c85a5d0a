"""The trainings of a network as a Flower ServerApp."""

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from mesh_fl.server.programme import Programme


def make_app(programme: Programme) -> ServerApp:
    """Return a ServerApp that trains to the end, over the exchange that the programme was given."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        programme.run()

    return app
