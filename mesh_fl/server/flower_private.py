"""All that the server takes from modules of Flower 1.41 that Flower does not call public.

Flower's telemetry and its check for updates are off before any of it is imported.
"""

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"

from flwr.app.message import make_message, remove_content_from_message
from flwr.common.constant import NOOP_ACCOUNT_NAME, NOOP_FLWR_AID, SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, ObjectTree
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PushAppMessagesRequest
from flwr.proto.task_pb2 import Task
from flwr.server.superlink.linkstate import InMemoryLinkState, LinkStateFactory
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID, TaskType
from flwr.supercore.error import http_error_translator
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.logger import FLOWER_LOGGER, ConsoleHandler
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.protobuf.translation import ProtobufTranslationMiddleware
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.routers.fleet.node_auth import NodeAuthMiddleware
from flwr.superlink.routers.fleet.router import router as fleet_router
from flwr.superlink.servicer.runtime import runtime_handlers

__all__ = [
    "FLOWER_LOGGER",
    "FLWR_IN_MEMORY_DB_NAME",
    "NOOP_ACCOUNT_NAME",
    "NOOP_FEDERATION_ID",
    "NOOP_FLWR_AID",
    "SUPERLINK_NODE_ID",
    "ConfirmMessageReceivedRequest",
    "ConsoleHandler",
    "ErrorCode",
    "InMemoryLinkState",
    "InMemoryObjectStore",
    "LinkStateFactory",
    "NoOpFederationManager",
    "NodeAuthMiddleware",
    "ObjectStoreFactory",
    "ObjectTree",
    "ProtoMessage",
    "ProtobufTranslationMiddleware",
    "PullAppMessagesRequest",
    "PushAppMessagesRequest",
    "PushMessagesRequest",
    "Run",
    "Task",
    "TaskIdentity",
    "TaskType",
    "fleet_router",
    "get_all_nested_objects",
    "get_object_tree",
    "http_error_translator",
    "inflate_object_from_contents",
    "iterate_object_tree",
    "make_message",
    "message_from_proto",
    "message_to_proto",
    "no_object_id_recompute",
    "public_key_to_bytes",
    "remove_content_from_message",
    "runtime_handlers",
]
