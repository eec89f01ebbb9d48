-- Written through: a payload is placed where it was asked for, or else on the fastest tier that can
-- hold it, and a copy is made on the fastest tier that survives a power failure. Use it when
-- nothing may be lost: the upper copy can then be dropped at no cost, so spilling is cheap, too.

local function can_hold(tier, payload)
  return tier.in_service and tier.keeps_bytes and payload.size_bytes <= tier.capacity_bytes
end

policy.place {
  name = "durable-first",
  rule = function(facts)
    local first, durable = facts.hint and facts.tiers[facts.hint], nil
    if first and not can_hold(first, facts.payload) then first = nil end
    for _, tier in ipairs(facts.tiers) do
      if can_hold(tier, facts.payload) then
        first = first or tier
        if tier.survives_power then durable = durable or tier end
      end
    end
    if not first or not durable then return nil end
    if first.survives_power then return first.name end
    return {tier = first.name, copy_to = durable.name}
  end,
}
