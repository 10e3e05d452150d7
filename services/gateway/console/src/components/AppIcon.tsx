import { useAppIcon } from "@/api/icons";
import { appIcons, type AppIconName } from "./appIcons";

// None of them is that of a failure.
const tones = 5;

/** The picture of an app, or its first letter where there is none of that name. Its name stands beside it. */
export function AppIcon({ name, icon, small }: { name: string | undefined; icon: string | undefined; small?: boolean }) {
  const path = icon !== undefined && Object.hasOwn(appIcons, icon) ? appIcons[icon as AppIconName] : undefined;
  // The same app has the same colour everywhere.
  const tone = [...(name ?? "")].reduce((sum, c) => (sum * 31 + (c.codePointAt(0) ?? 0)) % 9973, 0) % tones;
  return (
    <span className="app-icon" data-tone={tone} data-small={small || undefined} aria-hidden>
      {path ? (
        <svg viewBox="0 0 24 24">
          <path d={path} />
        </svg>
      ) : (
        [...(name ?? "").trim()].slice(0, 1).join("").toUpperCase()
      )}
    </span>
  );
}

/** The picture of an app that is known by its id and name. */
export function AppIconOf({ id, name }: { id: string | undefined; name: string | undefined }) {
  return <AppIcon small name={name} icon={useAppIcon(id)} />;
}
