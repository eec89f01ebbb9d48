-- Hot above cold: a read pulls a payload up only when there is room for it, or when it is read more
-- often than the one that would have to leave (as TinyLFU admits to a cache), and under pressure
-- what is read least for its size leaves. Use it when some payloads are read again and again while
-- others are read once: a scan pushes nothing out.

policy.spill {
  name = "hot-cold",
  from = "score",
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
  name = "hot-cold",
  rule = function(facts)
    local target, victim = facts.tiers[facts.target], facts.victim
    if not target then return nil end
    local free = target.free_bytes - target.waiting_bytes
    if facts.payload.size_bytes <= free or not victim then return facts.target end
    if facts.payload.frequency > victim.frequency then return facts.target end
    return false
  end,
}
