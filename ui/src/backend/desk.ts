// What only a desktop has: notifications, and how they are told.

import type {
  AppletPreview,
  ApplicationChecked,
  CheckedView,
  DoNotDisturb,
  NotificationSettings,
  NotificationState,
} from '../bindings.ts'

/** Every promise rejects with a `ProblemView`, as those of `Backend`. */
export interface Desk {
  notifications(): Promise<NotificationState>
  /** Sets everything but whether nobody is to be disturbed, which the tray sets, too. */
  setNotifications(settings: NotificationSettings): Promise<void>
  doNotDisturb(setting: DoNotDisturb): Promise<void>
  /** Has nobody be told of an alert for so many seconds. */
  silence(alert: number, seconds: number): Promise<void>
  /** Asks the NOC and the appliance itself. */
  checkNow(uid: string): Promise<CheckedView>
  /** From the tray's pop-up: shows an appliance in the window, or the alerts. */
  openWindow(uid: string | null): Promise<void>
  closeSummary(): Promise<void>
  /** The applets in the folders that the command line names, as they are now. */
  appletPreviews(language: string): Promise<AppletPreview[]>
  /** What is wrong with values of the form of one of them. */
  checkPreview(applet: string, values: unknown): Promise<ApplicationChecked>
}
