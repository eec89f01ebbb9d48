-- Near whoever asks: of the tiers of GPUs, or of NUMA nodes, a payload goes to the client's own.
-- Use it on machines with more than one of either, and a tier for each. A client that asks for a
-- tier of another kind (a disk), or whose place is not known, gets what it asked for.

-- The fastest tier that is as near as that.
local function nearest(facts, kind, place)
  for _, tier in ipairs(facts.tiers) do
    local is_near = place ~= nil and tier[kind] == place and tier.in_service and tier.keeps_bytes
    if is_near and facts.payload.size_bytes <= tier.capacity_bytes then return tier.name end
  end
end

policy.place {
  name = "numa-local",
  rule = function(facts)
    local client, hint = facts.client, facts.hint and facts.tiers[facts.hint]
    if not hint then
      return nearest(facts, "gpu", client.gpu) or nearest(facts, "numa_node", client.numa_node)
    end
    if hint.gpu then return nearest(facts, "gpu", client.gpu) end
    if hint.numa_node then return nearest(facts, "numa_node", client.numa_node) end
  end,
}
