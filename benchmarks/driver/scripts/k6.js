// What k6 sends: one scenario, given whole by the environment, of POSTs with one body.
import http from "k6/http";

export const options = {
  scenarios: { load: JSON.parse(__ENV.SCENARIO) },
  summaryTrendStats: ["med", "p(99)", "max"],
};
const headers = { headers: { "Content-Type": "application/json" } };

export default function () {
  http.post(__ENV.URL, __ENV.BODY, headers);
}
