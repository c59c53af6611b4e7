-- Claims what has been pending for too long.
-- KEYS: epoch, pending.  ARGV: the caller's epoch, age in milliseconds, most members.
-- A claimed member gets the present time as its score, so that no other reconciler claims it before it is old again.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then
  return {}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2], 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do
  redis.call('ZADD', KEYS[2], 'XX', now, member)
end
return due
