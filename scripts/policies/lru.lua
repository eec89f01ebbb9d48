-- Least recently used: what has not been read for the longest time leaves first, and what is read
-- is pulled up. Use it when nothing better is known about the reads.
--
-- A payload that is larger than the whole tier it was asked for goes to the fastest one that could
-- hold it, instead of pushing everything else out in vain.

policy.place {
  name = "lru",
  rule = function(facts)
    local hint, size = facts.hint and facts.tiers[facts.hint], facts.payload.size_bytes
    if not hint or size <= hint.capacity_bytes then return nil end
    for _, tier in ipairs(facts.tiers) do
      if tier.in_service and tier.keeps_bytes and size <= tier.capacity_bytes then
        return tier.name
      end
    end
  end,
}

policy.spill {
  name = "lru",
  from = "oldest",
  rule = function(facts)
    local victims, missing = {}, facts.bytes_wanted
    for number, payload in ipairs(facts.candidates) do
      if missing <= 0 then break end
      victims[number] = number
      missing = missing - payload.size_bytes
    end
    return victims
  end,
}

policy.promote {
  name = "lru",
  rule = function(facts) return facts.target end,
}
