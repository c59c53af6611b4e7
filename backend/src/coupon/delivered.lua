-- Takes events that Kafka has acknowledged out of `pending`, and the mark from the numbers of their grants.
-- KEYS: users, pending, epoch.  ARGV: the epoch of the events; then user id, number and member of each.
-- Answers how many were pending. In another epoch nothing is: its gate was opened without them.
if redis.call('HGET', KEYS[3], 'id') ~= ARGV[1] then
  return 0
end
local users, members = {}, {}
for i = 2, #ARGV, 3 do
  users[#users + 1] = ARGV[i]
  users[#users + 1] = ARGV[i + 1]
  members[#members + 1] = ARGV[i + 2]
end
redis.call('ZCARD', KEYS[2])
redis.call('HSET', KEYS[1], unpack(users))
return redis.call('ZREM', KEYS[2], unpack(members))
