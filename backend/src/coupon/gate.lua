-- Decides one request for a coupon.
-- KEYS: stock, users, pending, epoch.  ARGV: the caller's epoch, user id, the event as JSON.
-- Answers n > 0: granted with number n; 0: sold out; -1: closed; -2: this user has one already;
-- -3: this user has been granted one, and Kafka has not acknowledged it yet.
-- Everything is checked (types too) before the first write: an error in a script undoes nothing.
local head = redis.call('HMGET', KEYS[4], 'id', 'seq')
if head[1] ~= ARGV[1] then
  return -1
end
local granted = redis.call('HGET', KEYS[2], ARGV[2])
if granted then
  local number = string.match(granted, '^(.-)%?$')
  -- The same event while it is pending: its caller lost our first answer and asks again.
  if redis.call('ZSCORE', KEYS[3], (number or granted) .. '|' .. ARGV[3]) then
    return tonumber(number or granted)
  end
  -- Until Kafka has it, Redis alone knows of the grant, and Redis may lose it: nobody is told yet that it is there.
  if number then
    return -3
  end
  return -2
end
local stock = tonumber(redis.call('GET', KEYS[1]))
local seq = tonumber(head[2])
if not stock or stock < 0 or not seq then
  return -1
end
if stock == 0 then
  return 0
end
redis.call('ZCARD', KEYS[3])
local time = redis.call('TIME')
seq = seq + 1
local number = string.format('%.0f', seq)
redis.call('DECR', KEYS[1])
redis.call('HSET', KEYS[4], 'seq', number)
redis.call('HSET', KEYS[2], ARGV[2], number .. '?')
redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), number .. '|' .. ARGV[3])
return seq
