-- Shared by every script here: read a file of lines, and print one run as one line of JSON.
local report = {}

function report.lines(path)
  local lines = {}
  for line in io.lines(path) do
    lines[#lines + 1] = line
  end
  return lines
end

-- Latencies are microseconds in wrk and stay so here. `errors.status` counts answers above 399; every
-- other error is a connection that failed, and its request is not among `requests`.
function report.print(summary, latency)
  local errors = summary.errors
  print(string.format(
    'BENCH {"requests":%d,"duration_us":%d,"p50_us":%.1f,"p99_us":%.1f,"mean_us":%.1f,'
      .. '"status_errors":%d,"socket_errors":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.mean,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end

return report
