// The navigation. An item with a flag shows only while the flag is on; no answer means off. The server decides too.

import { useBooleanFlagValue } from "@openfeature/react-sdk";

const Item = ({ href, children }) => <a href={href}>{children}</a>;

function GatedItem({ flag, ...item }) {
  return useBooleanFlagValue(flag, false) && <Item {...item} />;
}

export const Nav = () => (
  <nav>
    <Item href="/">Home</Item>
    <GatedItem flag="gastown-access" href="/gastown">Gastown</GatedItem>
    <GatedItem flag="gastown-convoys" href="/gastown/convoys">Convoys</GatedItem>
  </nav>
);
