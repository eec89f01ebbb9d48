-- Small payloads first: what is large for a tier is not placed on it and not pulled up to it, and
-- under pressure what is least worth its room leaves (the catalog's score of size and frequency).
-- Use it when sizes differ much and hits count, not bytes: a large payload takes the room of many.

local share_max = 1 / 8 -- Of a tier's capacity that one payload may take.

local function is_large_for(tier, payload)
  return payload.size_bytes > tier.capacity_bytes * share_max
end

policy.place {
  name = "size-aware",
  rule = function(facts)
    local hint = facts.hint and facts.tiers[facts.hint]
    if not hint or not is_large_for(hint, facts.payload) then return nil end
    for _, tier in ipairs(facts.tiers) do
      local is_slower = tier.rank > hint.rank and tier.in_service and tier.keeps_bytes
      if is_slower and not is_large_for(tier, facts.payload) then return tier.name end
    end
  end,
}

policy.spill {
  name = "size-aware",
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
  name = "size-aware",
  rule = function(facts)
    local target = facts.tiers[facts.target]
    if not target or is_large_for(target, facts.payload) then return false end
    return facts.target
  end,
}
