import TopNavigation, { type TopNavigationProps } from "@cloudscape-design/components/top-navigation";
import { useState } from "react";
import { useLocation } from "wouter";
import { chooseTheme, currentTheme } from "./theme";

/** The bar at the top: the way home, the colours, and who is signed in. */
export function TopBar({ user, onSignOut }: { user: string | undefined; onSignOut: () => void }) {
  const [, navigate] = useLocation();
  const [theme, setTheme] = useState(currentTheme);
  const other = theme === "dark" ? "light" : "dark";
  const utilities: TopNavigationProps.Utility[] = [
    {
      type: "button",
      text: other === "dark" ? "Dark" : "Light",
      ariaLabel: other === "dark" ? "Dark colours" : "Light colours",
      disableTextCollapse: true,
      onClick: () => {
        chooseTheme(other);
        setTheme(other);
      },
    },
  ];
  if (user !== undefined) {
    utilities.push({
      type: "menu-dropdown",
      text: user,
      iconName: "user-profile",
      items: [{ id: "sign-out", text: "Sign out" }],
      onItemClick: ({ detail }) => {
        if (detail.id === "sign-out") onSignOut();
      },
    });
  }
  return (
    <div id="top">
      <TopNavigation
        identity={{
          href: "/",
          title: "Intake",
          onFollow: (event) => {
            event.preventDefault();
            navigate("/");
          },
        }}
        utilities={utilities}
      />
    </div>
  );
}
