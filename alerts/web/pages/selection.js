// What is chosen on the live floor: an alert, an agent's row, and the conversation that the drawer shows.
import { alerts } from "./alerts.js";
import { rows } from "./floor_state.js";
import { signal } from "./ui.js";

export const selection = signal(null); // {alertId, rowKey, platform, conversationId, isOpened}

export function selectAlert(alert, isOpened = false) {
  const all = [...rows.values()];
  const row = all.find((each) => each.agent.value.conversation_id === alert.conversation_id)
    ?? all.find((each) => alert.agent_id && each.agent.value.agent_id === alert.agent_id);
  selection.value = {
    alertId: alert.id,
    rowKey: row?.key ?? null,
    platform: alert.platform,
    conversationId: alert.conversation_id,
    isOpened,
  };
}

export function selectRow(row) {
  const { platform, conversation_id: conversationId } = row.agent.value;
  selection.value = { alertId: null, rowKey: row.key, platform, conversationId, isOpened: true };
}

export const selectedAlert = () => alerts.value.get(selection.value?.alertId) ?? null;
