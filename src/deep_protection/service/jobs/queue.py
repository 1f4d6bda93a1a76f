"""Who is next: clients take turns, so that one with a thousand jobs does not keep one with a single job waiting."""

from collections import OrderedDict, deque


class FairQueue:
    """Ids of waiting jobs, in memory; the table has them too. Not for several threads."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, deque[str]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._clients.values())

    def of(self, client: str) -> int:
        """How many jobs of this client wait."""
        return len(self._clients.get(client, ()))

    def put(self, client: str, job: str, *, priority: bool = False) -> None:
        """``priority``: before the client's other jobs, for one that has waited already."""
        jobs = self._clients.setdefault(client, deque())
        if priority:
            jobs.appendleft(job)
            self._clients.move_to_end(client, last=False)
        else:
            jobs.append(job)

    def take(self) -> str | None:
        """The next job; its client goes to the end of the line."""
        if not self._clients:
            return None
        client, jobs = self._clients.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._clients[client] = jobs
        return job

    def remove(self, job: str) -> bool:
        for client, jobs in self._clients.items():
            if job in jobs:
                jobs.remove(job)
                if not jobs:
                    del self._clients[client]
                return True
        return False

    def order(self) -> list[str]:
        """All of them as they will be taken if nothing else comes."""
        lines = [list(jobs) for jobs in self._clients.values()]
        longest = max((len(line) for line in lines), default=0)
        return [line[turn] for turn in range(longest) for line in lines if turn < len(line)]
