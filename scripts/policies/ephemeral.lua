-- What may be lost is lost first: under pressure, payloads with the label `ephemeral` (whatever its
-- value, but "no") or of low priority go to a tier that keeps no bytes, which costs no writing.
-- Use it for caches of what can be made again. Whoever asks for durability, or says where a payload
-- spills to, is heard.

local function is_ephemeral(payload)
  if payload.require_durable or payload.spill_target then return false end
  local label = payload.labels.ephemeral
  if label then return label ~= "no" end
  return payload.priority == "low"
end

local function without_bytes(facts)
  for _, tier in ipairs(facts.tiers) do
    if not tier.keeps_bytes and tier.in_service then return tier.name end
  end
end

policy.spill {
  name = "ephemeral",
  rule = function(facts)
    local void, victims, others, missing = without_bytes(facts), {}, {}, facts.bytes_wanted
    if not void then return nil end
    for number, payload in ipairs(facts.candidates) do
      if missing <= 0 then break end
      if is_ephemeral(payload) then
        table.insert(victims, {candidate = number, to = void})
        missing = missing - payload.size_bytes
      else
        table.insert(others, number)
      end
    end
    if #victims == 0 then return nil end
    for _, number in ipairs(others) do
      if missing <= 0 then break end
      table.insert(victims, number)
      missing = missing - facts.candidates[number].size_bytes
    end
    return victims
  end,
}
