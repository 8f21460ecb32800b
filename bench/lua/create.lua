-- POST one model after another, each with a new name.  arguments: FILE TAG
-- FILE: the path to post to, then JSON objects whose name is NAME, taken in turn.
local report = require("report")
local headers = { ["Content-Type"] = "application/json" }
local path, tag, bodies, count = "", "0", {}, 0

function init(args)
  local lines = report.lines(args[1])
  path, tag = lines[1], args[2]
  for index = 2, #lines do
    local before, after = lines[index]:match("^(.-)NAME(.*)$")
    bodies[#bodies + 1] = { before, after }
  end
end

function request()
  count = count + 1
  local body = bodies[count % #bodies + 1]
  return wrk.format("POST", path, headers, body[1] .. "new-" .. tag .. "-" .. count .. body[2])
end

function done(summary, latency, requests)
  report.print(summary, latency)
end
