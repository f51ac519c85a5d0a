"""The member side: Fleet connection, ClientApp and local inference in one process."""
