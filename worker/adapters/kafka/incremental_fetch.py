"""The library's fetcher that works no more for a request to a broker than what has changed since the last one.

The library keeps incremental fetch sessions (KIP-227): a request names only the partitions that have changed. But to
find them it builds the whole request anew at every poll. Here each broker has a list of partitions to look at before
its next request: those whose state, buffered answer or leader has changed. The requests are the same. Where there is
no session (old brokers, or one that has no room for more), they are built from all partitions, as the library does.

Positions are compared with their leaders' epochs (KIP-320) in the same way: where either has changed.

Private parts of kafka-python 3.0.12, which is pinned. `maybe_validate_positions` runs on the poll's thread. The rest
runs on the client's I/O thread, while the poll waits for it.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from kafka.consumer.fetcher import Fetcher, FetchRequestData, FetchSessionHandler
from kafka.errors import NoError
from kafka.protocol.consumer import FetchRequest
from kafka.structs import TopicPartition

#: What is asked of one partition; None: nothing.
Asked = Any | None
#: The newest version without ids of topics, as the library's.
_MAX_VERSION = 12
_FetchPartition = FetchRequest.FetchTopic.FetchPartition


class Session(FetchSessionHandler):  # type: ignore[misc]
    """The fetch session with one broker. `look_at` holds partitions whose part in it may have changed."""

    def __init__(self, node_id: Any) -> None:
        super().__init__(node_id)
        self.next_metadata: Any
        self.session_partitions: dict[TopicPartition, Any]
        self.look_at: dict[TopicPartition, None] = {}
        #: Nothing is to be asked of the broker, until there is something else to look at.
        self.empty = True

    def look(self, tp: TopicPartition) -> None:
        self.look_at[tp] = None
        self.empty = False

    def update(self, asked: Mapping[TopicPartition, Asked]) -> FetchRequestData | None:
        """The next request's content, where `asked` holds for these partitions from now on. None: nothing is left."""
        had = self.session_partitions
        to_send = OrderedDict((tp, new) for tp, new in asked.items() if new is not None and new != had.get(tp))
        to_forget = {tp for tp, new in asked.items() if new is None and tp in had}
        if len(had) == len(to_forget) and not to_send:
            return None
        had.update(to_send)
        for tp in to_forget:
            del had[tp]
        return FetchRequestData(to_send, to_forget, self.next_metadata)

    def handle_response(self, response: Any) -> bool:
        """As the library's, which compares the answer of a session that continues with all of its partitions."""
        continues = not self.next_metadata.is_full and response.error_code == NoError.errno
        if (
            continues
            and response.session_id == self.next_metadata.session_id
            and all(tp in self.session_partitions for tp in self._response_partitions(response))
        ):
            self.next_metadata = self.next_metadata.next_incremental()
            return True
        handled: bool = super().handle_response(response)
        return handled


class _Offsets:
    """The offsets that a request asked for: the session's, which stays as it is until the answer has come."""

    def __init__(self, session: Session) -> None:
        self._asked = session.session_partitions

    def __getitem__(self, tp: TopicPartition) -> int:
        offset: int = self._asked[tp].fetch_offset
        return offset


class _Leaders:
    """The partitions' leaders as they were looked at last. The library replaces them as a whole."""

    _seen: Any = None

    def changed(self, cluster: Any) -> bool:
        before, self._seen = self._seen, cluster._partitions
        return before is not self._seen


class IncrementalFetcher(Fetcher):  # type: ignore[misc]
    def __init__(self, client: Any, subscriptions: Any, **config: Any) -> None:
        super().__init__(client, subscriptions, **config)
        self._changed, self._to_validate = subscriptions.watch(), subscriptions.watch()
        self._fetched_from, self._validated_for = _Leaders(), _Leaders()
        self._buffered: set[TopicPartition] = set()
        #: Partitions that are fetched from a follower (KIP-392), and until when (monotonic seconds).
        self._at_follower: dict[TopicPartition, float] = {}

    def maybe_validate_positions(self) -> None:
        cluster, changed = self._manager.cluster, self._to_validate.take()
        for tp in self._subscriptions.assigned_partitions() if self._validated_for.changed(cluster) else changed:
            epoch = cluster.leader_epoch_for_partition(tp)
            self._subscriptions.maybe_validate_position_for_current_leader(tp, epoch)

    def _maybe_update_current_leader(self, tp: TopicPartition, partition_data: Any) -> None:
        super()._maybe_update_current_leader(tp, partition_data)
        self._changed.add(tp)
        self._to_validate.add(tp)

    def _create_fetch_requests(self) -> dict[Any, tuple[Any, Any]]:
        if not self._enable_incremental_fetch_sessions:
            requests: dict[Any, tuple[Any, Any]] = super()._create_fetch_requests()
            return requests
        self._note_changes()
        made = {}
        for node, session in self._session_handlers.items():
            if not session.empty and self._is_free(node):
                content = self._content(node, session)
                if content is not None:
                    made[node] = self._request(content), _Offsets(session)
        return made

    def _note_changes(self) -> None:
        """Tells sessions which partitions to look at: the one that has it, and the one that is to have it."""
        changed = self._changed.take()
        if self._fetched_from.changed(self._manager.cluster):
            changed += self._subscriptions.assignment  # and what has gone from there
        before, self._buffered = self._buffered, self._buffered_partitions()
        for tp in {*changed, *(before ^ self._buffered), *self._due(time.monotonic())}:
            for session in self._session_handlers.values():
                if tp in session.session_partitions:
                    session.look(tp)
            if self._is_wanted(tp):
                self._direct(tp)
            elif tp not in self._subscriptions.assignment:
                self._at_follower.pop(tp, None)

    def _direct(self, tp: TopicPartition) -> None:
        """To the session of the broker that it is to be fetched from."""
        node = self._select_read_replica(tp)
        until = self._subscriptions.assignment[tp]._preferred_read_replica_expiration
        if until is not None:
            self._at_follower[tp] = until
        else:
            self._at_follower.pop(tp, None)
        if node is None or node == -1:
            self._manager.cluster.request_update()
            self._changed.add(tp)  # to be asked for again until there is a leader
            return
        if node not in self._session_handlers:
            self._session_handlers[node] = Session(node)
        self._session_handlers[node].look(tp)

    def _due(self, now: float) -> list[TopicPartition]:
        """Partitions that are to be looked at because of the time."""
        return [tp for tp, until in self._at_follower.items() if now >= until]

    def _buffered_partitions(self) -> set[TopicPartition]:
        """Those with an answer that is not used up. No more of them is fetched."""
        buffered = {fetch.topic_partition for fetch in self._completed_fetches.copy()}
        if self._next_partition_records:
            buffered.add(self._next_partition_records.topic_partition)
        return buffered.union(self._paused_completed_fetches, self._paused_partition_records)

    def _is_wanted(self, tp: TopicPartition) -> bool:
        """Whether it is among the fetchable partitions."""
        return tp not in self._buffered and bool(self._subscriptions.is_fetchable(tp))

    def _is_free(self, node: Any) -> bool:
        """No request to the broker is under way, and it is not to be left alone for a while."""
        return (
            node not in self._nodes_with_pending_fetch_requests
            and self._manager.connection_delay(node) <= 0
            and self._client.throttle_delay(node) <= 0
        )

    def _content(self, node: Any, session: Session) -> FetchRequestData | None:
        """What the broker is to be asked next; None: nothing."""
        content = None
        if session.next_metadata.is_full:
            asked = [tp for tp in self._fetchable_partitions() if self._select_read_replica(tp) == node]
            session.session_partitions = {}
            if asked:
                content = session.build_next(OrderedDict((tp, self._asked(tp)) for tp in asked))
            session.look_at.clear()
        else:
            content = session.update({tp: self._asked_of(node, tp) for tp in session.look_at})
            if content is not None:
                session.look_at.clear()
        session.empty = content is None
        return content

    def _asked_of(self, node: Any, tp: TopicPartition) -> Asked:
        return self._asked(tp) if self._is_wanted(tp) and self._select_read_replica(tp) == node else None

    def _asked(self, tp: TopicPartition) -> Asked:
        position = self._subscriptions.assignment[tp].position
        epoch = self._manager.cluster.leader_epoch_for_partition(tp)
        return _FetchPartition(
            partition=tp.partition,
            current_leader_epoch=-1 if epoch is None else epoch,
            fetch_offset=position.offset,
            last_fetched_epoch=position.leader_epoch,
            partition_max_bytes=self.config["max_partition_fetch_bytes"],
        )

    def _request(self, content: FetchRequestData) -> Any:
        return FetchRequest(
            max_wait_ms=self.config["fetch_max_wait_ms"],
            min_bytes=self.config["fetch_min_bytes"],
            max_bytes=self.config["fetch_max_bytes"],
            isolation_level=self._isolation_level,
            session_id=content.id,
            session_epoch=content.epoch,
            topics=content.to_send,
            forgotten_topics_data=content.to_forget,
            rack_id=self.config["client_rack"],
            min_version=FetchRequest.min_version_for_isolation_level(self._isolation_level),
            max_version=_MAX_VERSION,
        )
