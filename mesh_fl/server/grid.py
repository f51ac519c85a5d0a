"""Flower's grid, working directly on the link state of this process."""

import time
from collections.abc import Iterable
from typing import cast

from flwr.app import Error, Message, RecordDict
from flwr.serverapp import Grid

from mesh_fl.server.flower_private import (
    SUPERLINK_NODE_ID,
    ErrorCode,
    InMemoryLinkState,
    ObjectTree,
    ProtoMessage,
    PullAppMessagesRequest,
    PushAppMessagesRequest,
    Run,
    Task,
    get_all_nested_objects,
    get_object_tree,
    inflate_object_from_contents,
    iterate_object_tree,
    make_message,
    message_from_proto,
    message_to_proto,
    no_object_id_recompute,
    remove_content_from_message,
    runtime_handlers,
)


class MemberGrid(Grid):
    """Sends messages to the members and takes their replies.

    It differs from Flower's own grid in three ways: it is not reachable over the network; a member
    that stalls or garbles its upload delays nobody else; and a reply's sender is the node that has
    been authenticated, whatever the uploaded message says.

    Parameters
    ----------
    state
        Link state of the SuperLink in this process.
    run
        The run that all messages belong to.
    poll_s
        Pause between two looks for replies.
    """

    def __init__(self, state: InMemoryLinkState, run: Run, poll_s: float) -> None:
        self._state = state
        self._run = run
        self._task = Task(task_id=cast(int, run.primary_task_id), run_id=run.run_id)
        self._poll_s = poll_s

    def set_run(self, run: Run) -> None:
        """Refuse; the run is fixed."""
        raise NotImplementedError("This grid serves one run for as long as the process lives.")

    @property
    def run(self) -> Run:
        """The run that all messages belong to."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message to one node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Give the ids of the nodes that are online."""
        return self._state.get_nodes(self._run.run_id)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Queue messages for their nodes.

        Returns
        -------
        list of str
            A message id each, in order; empty where the node is not registered.
        """
        outgoing = list(messages)
        if not outgoing:
            return []
        with no_object_id_recompute():
            for message in outgoing:
                self._address(message)
            contents = {
                object_id: nested.deflate()
                for message in outgoing
                for object_id, nested in get_all_nested_objects(message).items()
            }
            request = PushAppMessagesRequest(
                messages_list=[message_to_proto(remove_content_from_message(m)) for m in outgoing],
                message_object_trees=[get_object_tree(m) for m in outgoing],
            )
        response = runtime_handlers.push_messages(request, self._state, self._task)
        for object_id in response.objects_to_push:
            self._state.store_object(
                self._run.run_id, response.session_id, object_id, contents[object_id]
            )
        return list(response.message_ids)

    def _address(self, message: Message) -> None:
        fields = message.metadata.__dict__
        fields["_run_id"] = self._run.run_id
        fields["_src_node_id"] = SUPERLINK_NODE_ID
        fields["_message_id"] = message.object_id

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Take the replies that are complete, and an error for each node that has gone."""
        with self._state.lock:
            ready = [i for i in message_ids if not self._is_uploading(i)]
            response = runtime_handlers.pull_messages(
                PullAppMessagesRequest(message_ids=ready), self._state, self._task
            )
        pairs = zip(response.messages_list, response.message_object_trees, strict=True)
        return [self._take(envelope, tree) for envelope, tree in pairs]

    def _is_uploading(self, message_id: str) -> bool:
        reply_id = self._state.message_ins_id_to_message_res_id.get(message_id)
        if reply_id is None:
            return False
        store = self._state.object_store
        tree = store.get_object_tree(reply_id)
        return any(store.get(node.object_id) == b"" for node in iterate_object_tree(tree))

    def _take(self, envelope: ProtoMessage, tree: ObjectTree) -> Message:
        """Put a reply together and delete it from the store."""
        store = self._state.object_store
        nodes = list(iterate_object_tree(tree))
        contents = {node.object_id: store.get(node.object_id) or b"" for node in nodes}
        store.delete(tree.object_id)
        store.delete(envelope.metadata.reply_to_message_id)
        metadata = message_from_proto(envelope).metadata
        try:
            inflated = inflate_object_from_contents(tree.object_id, contents)
        except Exception:
            inflated = None
        if not isinstance(inflated, Message):
            reason = "The reply is damaged; its objects do not form a message."
            return make_message(metadata, error=Error(ErrorCode.MESSAGE_UNAVAILABLE, reason))
        if inflated.has_error():
            return make_message(metadata, error=inflated.error)
        return make_message(metadata, content=inflated.content)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Send messages and wait for the replies.

        Parameters
        ----------
        messages
            One for each node.
        timeout
            Seconds to wait; None waits until each node has replied or gone. What is late is
            dropped.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        waiting = {message_id for message_id in self.push_messages(messages) if message_id}
        replies: list[Message] = []
        try:
            while waiting:
                found = self.pull_messages(waiting)
                replies += found
                waiting -= {reply.metadata.reply_to_message_id for reply in found}
                if not waiting or (deadline is not None and time.monotonic() >= deadline):
                    break
                time.sleep(self._poll_s)
        finally:
            self.forget(waiting)
        return replies

    def forget(self, message_ids: Iterable[str]) -> None:
        """Drop messages that nobody waits for any more, with their replies, also late ones."""
        state = self._state
        with state.lock:
            for message_id in message_ids:
                reply_id = state.message_ins_id_to_message_res_id.get(message_id)
                state.delete_messages({message_id})
                state.object_store.delete(message_id)
                if reply_id is not None:
                    state.object_store.delete(reply_id)
