-- So much for each client: an allocation that would exceed what its client may have, on the tier or
-- in all, is refused. Use it when clients share a host and one must not take it all. Copy it to the
-- directory of your own policies, and write your limits here.

local gib = 1024 * 1024 * 1024

-- Names of clients as `payloadctl` shows them. What is not named has no limit.
local limits = {
  ["uid:0"] = {},
}
local others = {in_all = 1024 * gib, tiers = {shm = 64 * gib}}

local function refusal(where, used, limit)
  return "the quota " .. where .. " is " .. limit .. " bytes, and " .. used .. " are used"
end

policy.admit {
  name = "quota",
  rule = function(facts)
    local client, size = facts.client, facts.payload.size_bytes
    local limit = limits[client.name] or others
    local of_tier = limit.tiers and limit.tiers[facts.tier]
    local on_tier = client.used_bytes[facts.tier]
    if of_tier and on_tier + size > of_tier then
      return refusal("on " .. facts.tier, on_tier, of_tier)
    end
    local in_all = 0
    for _, tier in ipairs(facts.tiers) do in_all = in_all + client.used_bytes[tier.name] end
    if limit.in_all and in_all + size > limit.in_all then
      return refusal("in all", in_all, limit.in_all)
    end
  end,
}
