"""A bounded rate limit per address and over all: a flood costs a fixed amount of memory and of reports."""

from collections import OrderedDict


class _Bucket:
    __slots__ = ("tokens", "when")

    def __init__(self, tokens: float, when: float) -> None:
        self.tokens = tokens
        self.when = when

    def take(self, now: float, burst: float, rate: float) -> bool:
        self.tokens = min(burst, self.tokens + max(0.0, now - self.when) * rate)
        self.when = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Limiter:
    """Token buckets: `burst` at once and `rate` a second for each key, and the same times `share` for all together.

    At most `size` keys are remembered; the one unused for longest is forgotten first.
    """

    __slots__ = ("_all", "_buckets", "burst", "rate", "share", "size")

    def __init__(self, *, burst: float, rate: float, share: float = 8.0, size: int = 256) -> None:
        self.burst = burst
        self.rate = rate
        self.share = share
        self.size = size
        self._buckets: OrderedDict[object, _Bucket] = OrderedDict()
        self._all = _Bucket(burst * share, 0.0)

    def allow(self, key: object, now: float) -> bool:
        """Whether one more may pass now; takes its tokens if so."""
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self.size:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = _Bucket(self.burst, now)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now, self.burst, self.rate) and self._all.take(
            now, self.burst * self.share, self.rate * self.share
        )

    def __len__(self) -> int:
        return len(self._buckets)
